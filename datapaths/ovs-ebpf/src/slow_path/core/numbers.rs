//! Numbers of ports, where no switch gives them.

use megaflow::map::PORTS;

/// The uplink.
pub const UPLINK: u32 = 0;
/// What comes out of outer headers came by this one.
pub const TUNNEL: u32 = PORTS - 1;
/// The network stack.
pub const STACK: u32 = PORTS - 2;

/// The port of an endpoint port of the droplet.
pub fn endpoint(port: u32) -> u32 {
    1 + port
}

/// The endpoint port that such a port is.
pub fn of_endpoint(port: u32) -> usize {
    port.wrapping_sub(1) as usize
}
