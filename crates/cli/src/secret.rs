//! Masks credentials in storage addresses before they are shown.

pub(crate) use runlineage_server::answer::masked;
