//! The names of the benchmarks' domains.

/// A name of 18 to 38 bytes.
pub fn name(number: usize) -> String {
    const ENDS: [&str; 4] = ["example.com", "customers.example", "chat.example.org", "messaging-service.example"];
    format!("tenant{}.{}", number, ENDS[number % 4])
}

/// A number below `size` for each turn, spread evenly and the same in each run (Fibonacci hashing).
pub fn spread(turn: usize, size: usize) -> usize {
    ((turn as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % size
}
