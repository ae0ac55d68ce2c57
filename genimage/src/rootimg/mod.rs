//! Root images of diskless nodes: built from an osimage's lists and repositories, packed, and recorded.

pub mod record;
