//! A command that uses the bank through its interface and prints what it gets.

wit_bindgen::generate!({ path: "../wit", world: "teller" });

use atoll::ledger::accounts::{Account, Currency, Date, Entry, Marks, initials, parse, round, seal, total};

fn entry(what: &str, cents: i64, tags: &[&str], day: Option<Date>) -> Entry {
    Entry { what: what.to_string(), cents, tags: tags.iter().map(ToString::to_string).collect(), day }
}

fn main() {
    let ann = Account::new("Ann", Currency::Krona);
    let bo = Account::new("Bö", Currency::Krona);
    let day = Date { year: 2026, month: 8, day: 3 };
    println!("book {:?}", ann.book(&entry("wages", 2_500_00, &["work", "monthly"], Some(day))));
    println!("book {:?}", ann.book(&entry("rent", -9_000_00, &[], None)));
    println!("book {:?}", bo.book(&entry("prize", 77, &["luck"], Some(Date { month: 13, ..day }))));
    println!("book {:?}", bo.book(&entry("prize", 77, &["luck"], None)));
    println!("total {}", total(&[&ann, &bo]));
    bo.freeze();
    println!("book {:?}", bo.book(&entry("late", 1, &[], None)));
    println!("{}", bo.summary(Marks::CHECKED | Marks::HIDDEN));
    let both = Account::merge(ann, bo);
    println!("{}", both.summary(Marks::empty()));
    for entry in both.history() {
        println!("{entry:?}");
    }
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let (hash, back) = seal(&bytes);
    println!("seal {hash:016x} same {}", back == bytes);
    println!("round {} {}", round(2.718_281_828, Some(3)), round(-0.5, None));
    println!("initials {:?}", initials(&["Åsa".to_string(), "日本".to_string(), String::new(), "z".to_string()]));
    println!("parse {:?} {:?}", parse("tea = 250").map(|entry| entry.cents), parse("tea").err());
    let mut sum = 0.0;
    for i in 0..10_000 {
        sum += round(f64::from(i) / 3.0, Some(1));
    }
    println!("10k calls {sum:.1}");
}
