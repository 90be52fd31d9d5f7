//! Single frames through a droplet.

use datapath_api::ring::Buffer;
use datapath_api::{Error, Outcome};
use mizar_droplet::{Action, Droplet, dropped};
use topologies::provision::{EndpointPort, Port};

/// Passes one frame through `droplet`, as if it had arrived at `port`.
pub fn inject(droplet: &mut Droplet, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
    let mut buffer = Buffer::new();
    let doing = || "passing a frame in";
    let capacity = Buffer::capacity();
    buffer
        .reset(frame.len())
        .ok_or_else(|| Error::failed(doing(), format!("{} bytes exceed {capacity}", frame.len())))?
        .copy_from_slice(frame);
    let action = match port {
        Port::Uplink => droplet.transit(&mut buffer),
        Port::Endpoint(EndpointPort(port)) => droplet.agent(usize::from(port), &mut buffer),
    };
    let frame = buffer.frame().to_vec();
    Ok(match action {
        Action::Uplink => Outcome::Forward {
            port: Port::Uplink,
            frame,
        },
        Action::Endpoint(port) => {
            let port = u16::try_from(port)
                .map_err(|_| Error::failed(doing(), format!("no endpoint port {port}")))?;
            Outcome::Forward {
                port: Port::Endpoint(EndpointPort(port)),
                frame,
            }
        }
        Action::Stack => Outcome::ToStack { frame },
        Action::Refused(reason) => dropped(reason),
    })
}
