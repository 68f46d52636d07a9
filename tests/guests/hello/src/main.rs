//! What a command-line program of Rust's std asks of its system: arguments, environment, standard streams, clocks, files.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::time::{Duration, Instant, SystemTime};

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    println!("args {args:?}");
    let mut env: Vec<_> = std::env::vars().collect();
    env.sort();
    println!("env {env:?}");
    let squares: HashMap<u64, u64> = (0..10).map(|n| (n, n * n)).collect();
    println!("squares {}", squares.values().sum::<u64>());
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    println!("after 2020 {}", since.as_secs() > 1_577_836_800);
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(5));
    println!("slept {}", start.elapsed() >= Duration::from_millis(5));
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    println!("stdin {input:?}");
    for path in &args {
        match files(path) {
            Ok(text) => println!("{path}: {text}"),
            Err(error) => println!("{path}: {:?}", error.kind()),
        }
    }
    eprintln!("to stderr");
    Ok(())
}

/// Writes, reads back, lists and removes a file in a folder.
fn files(folder: &str) -> std::io::Result<String> {
    let path = format!("{folder}/hello.txt");
    std::fs::File::create(&path)?.write_all(b"written\n")?;
    let text = std::fs::read_to_string(&path)?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    std::fs::remove_file(&path)?;
    Ok(format!("{text:?} {names:?}"))
}
