//! Who is at the other end of a connection, as far as the connection tells.

use std::net::SocketAddr;

use crate::tls::clients::Shown;

/// Connections of a listener at the same time; one more waits to be accepted.
pub const CONNECTIONS: usize = 4_096;

/// The other end of a connection.
#[derive(Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The certificate that it showed, which an authority of the configuration has signed.
    pub certificate: Option<Shown>,
}
