//! Templates, rendered strictly. The only module that knows tera.
