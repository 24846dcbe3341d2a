//! The other end of a connection.

use std::net::SocketAddr;

use crate::tls::client_certificates::PresentedCertificate;

/// Simultaneous connections of a listener. Further ones wait in the system's queue.
pub const CONNECTIONS: usize = 4_096;

/// The other end of a connection.
#[derive(Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The certificate that it presented, signed by a configured authority.
    pub certificate: Option<PresentedCertificate>,
}
