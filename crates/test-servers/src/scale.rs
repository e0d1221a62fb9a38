//! How often a test repeats what it could repeat without end.

/// `moderate` holds the behaviour in minutes; `RUNLINEAGE_TEST_SCALE=full` (`make soak`) asks for `full`.
pub fn scaled<T>(moderate: T, full: T) -> T {
    match std::env::var("RUNLINEAGE_TEST_SCALE").as_deref() {
        Err(_) | Ok("") => moderate,
        Ok("full") => full,
        Ok(other) => panic!("RUNLINEAGE_TEST_SCALE is {other:?}; it can be full"),
    }
}
