//! How often a test repeats a random check.

/// Returns `moderate`, with which `make test` takes minutes, or `full` if `RUNLINEAGE_TEST_SCALE=full` is set, as by `make soak`.
pub fn scaled<T>(moderate: T, full: T) -> T {
    match std::env::var("RUNLINEAGE_TEST_SCALE").as_deref() {
        Err(_) | Ok("") => moderate,
        Ok("full") => full,
        Ok(other) => panic!("RUNLINEAGE_TEST_SCALE is {other:?}; it can be full"),
    }
}
