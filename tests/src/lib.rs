//! What the tests share: where things are, and running the binary `atoll` as a person would.
