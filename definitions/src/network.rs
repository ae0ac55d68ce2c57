//! Networks.

use crate::schema::definition;

definition! {
    /// A network of the site.
    pub struct Network: Network {
        /// The network's address.
        net: Option<String>,
        /// Its mask.
        mask: Option<String>,
    }
}
