//! Fuzz targets: two implementations of one thing, held against each other. Targets are in `fuzz_targets`.
