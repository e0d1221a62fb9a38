//! Hash tables with a fast hasher, for walks: a walk looks up each of very many nodes several times.
//!
//! The hasher has a random seed for each process, since the keys are names that users chose.

use foldhash::fast::RandomState;

pub(crate) type FastMap<K, V> = std::collections::HashMap<K, V, RandomState>;
pub(crate) type FastSet<T> = std::collections::HashSet<T, RandomState>;
pub(crate) type FastIndexMap<K, V> = indexmap::IndexMap<K, V, RandomState>;
