//! Looking an import up by name, with semver compatibility.
//!
//! `a:b/c@0.2.3` is served by any `a:b/c@0.2.x`; `1.2.3` by any `1.x`; `0.0.3` and pre-releases only by themselves.

use std::collections::BTreeMap;

/// Finds `name` in `offers`: the exact name, else the newest compatible version.
pub fn lookup<'o, T>(offers: &'o BTreeMap<String, T>, name: &str) -> Option<(&'o str, &'o T)> {
    if let Some((exact, offer)) = offers.get_key_value(name) {
        return Some((exact, offer));
    }
    let wanted = Versioned::parse(name)?;
    let track = wanted.track()?;
    offers
        .iter()
        .filter_map(|(offered, offer)| Some((Versioned::parse(offered)?, offered, offer)))
        .filter(|(version, ..)| version.base == wanted.base && version.track() == Some(track))
        .max_by_key(|(version, ..)| version.number)
        .map(|(_, offered, offer)| (offered.as_str(), offer))
}

/// Whether what has one name can be what the other name asks for, or the other way round.
#[must_use]
pub fn compatible(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (Some(a), Some(b)) = (Versioned::parse(a), Versioned::parse(b)) else { return false };
    a.base == b.base && a.track().is_some() && a.track() == b.track()
}

/// The version of a name, if it has one: major, minor, patch.
#[must_use]
pub fn version(name: &str) -> Option<(u64, u64, u64)> {
    Versioned::parse(name).map(|versioned| versioned.number)
}

/// A name without its version.
#[must_use]
pub fn unversioned(name: &str) -> &str {
    name.split_once('@').map_or(name, |(base, _)| base)
}

/// A name with a version: `base@major.minor.patch`.
struct Versioned<'n> {
    base: &'n str,
    number: (u64, u64, u64),
    exact: bool,
}

/// What two compatible versions have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Track {
    Major(u64),
    Minor(u64),
}

impl Versioned<'_> {
    fn parse(name: &str) -> Option<Versioned<'_>> {
        let (base, version) = name.rsplit_once('@')?;
        let exact = version.contains(['-', '+']);
        let mut parts = version.split(['-', '+']).next()?.split('.').map(|part| part.parse().ok());
        let number = (parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(Versioned { base, number, exact })
    }

    fn track(&self) -> Option<Track> {
        match self.number {
            _ if self.exact => None,
            (0, 0, _) => None,
            (0, minor, _) => Some(Track::Minor(minor)),
            (major, ..) => Some(Track::Major(major)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{compatible, lookup, unversioned, version};
    use std::collections::BTreeMap;

    fn find(offers: &[&str], name: &str) -> Option<String> {
        let offers: BTreeMap<String, ()> = offers.iter().map(|name| ((*name).to_owned(), ())).collect();
        lookup(&offers, name).map(|(found, ())| found.to_owned())
    }

    #[test]
    fn compatible_versions_match() {
        let offers = ["a:b/c@0.2.12", "a:b/c@0.2.3", "a:b/c@0.3.0", "a:b/d@0.2.0", "x:y/z@1.4.0"];
        assert_eq!(find(&offers, "a:b/c@0.2.3").as_deref(), Some("a:b/c@0.2.3"));
        assert_eq!(find(&offers, "a:b/c@0.2.99").as_deref(), Some("a:b/c@0.2.12"));
        assert_eq!(find(&offers, "x:y/z@1.0.0").as_deref(), Some("x:y/z@1.4.0"));
        assert_eq!(find(&offers, "a:b/c@0.4.0"), None);
        assert_eq!(find(&offers, "x:y/z@2.0.0"), None);
        assert_eq!(find(&offers, "a:b/c"), None);
    }

    #[test]
    fn compatible_either_way() {
        assert!(compatible("a:b/c@0.2.3", "a:b/c@0.2.0") && compatible("a:b/c@1.0.0", "a:b/c@1.9.0"));
        assert!(compatible("a:b/c", "a:b/c") && !compatible("a:b/c", "a:b/c@1.0.0"));
        assert!(!compatible("a:b/c@0.2.3", "a:b/c@0.3.3") && !compatible("a:b/c@0.0.1", "a:b/c@0.0.2"));
        assert!(!compatible("a:b/c@1.0.0-rc", "a:b/c@1.0.0"));
        assert_eq!((version("a:b/c@1.2.3"), version("a:b/c")), (Some((1, 2, 3)), None));
        assert_eq!((unversioned("a:b/c@1.2.3"), unversioned("take")), ("a:b/c", "take"));
    }

    #[test]
    fn unstable_versions_match_only_themselves() {
        assert_eq!(find(&["a:b/c@0.0.1"], "a:b/c@0.0.2"), None);
        assert_eq!(find(&["a:b/c@0.0.1"], "a:b/c@0.0.1").as_deref(), Some("a:b/c@0.0.1"));
        assert_eq!(find(&["a:b/c@0.2.0-rc-1"], "a:b/c@0.2.0"), None);
        assert_eq!(find(&["a:b/c@0.2.0-rc-1"], "a:b/c@0.2.0-rc-1").as_deref(), Some("a:b/c@0.2.0-rc-1"));
    }
}
