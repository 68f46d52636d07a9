//! Random types, values, damage and hostile allocators, a few of each with every run of the tests; the fuzz targets
//! `plan_movers` and `hostile_guest` try more of them.

use proptest::prelude::{ProptestConfig, any, prop, proptest};

use super::attacks::{try_calls, try_handles, try_hostile};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_arrive_and_damage_traps_alike(choices in prop::collection::vec(any::<u8>(), 0..1000)) {
        try_calls(&choices);
    }

    #[test]
    fn hostile_guests_harm_nobody(choices in prop::collection::vec(any::<u8>(), 0..1000)) {
        try_hostile(&choices);
    }

    #[test]
    fn handles_are_kept_as_the_tables_keep_them(choices in prop::collection::vec(any::<u8>(), 0..300)) {
        try_handles(&choices);
    }
}
