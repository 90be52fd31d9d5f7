//! What is looked at before anything is measured: that packets of full size get through, that what arrives is what was
//! sent, and that it came by the droplets that it must come by.

use super::mtu::{Mtu, Mtus};
use super::record::Checked;
use super::socket::{Abort, Connection, Listener, PATIENCE, refused};
use super::{Setting, Trouble};
use mizar_wire::{ipv4, tcp, udp};
use std::io;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Bytes that are compared.
const BYTES: usize = 4 << 20;
/// Bytes after which the pattern begins anew: a prime, so that no other number of bytes that goes missing leaves it in step.
const PATTERN: usize = 65_521;
/// How long an answer may take before another packet is sent.
const ANSWER: Duration = Duration::from_millis(250);
/// Packets of one size before it counts as too long.
const TRIES: u32 = 12;
/// The same while the longest that passes is looked for.
const FEWER_TRIES: u32 = 3;
/// Bytes of the first packet, which finds whether anything gets through.
const SHORT: u16 = 100;
/// Packets that may have gone elsewhere for each on the way.
const STRAY: f64 = 0.01;

/// Checks `setting`.
///
/// # Errors
/// Where one of the three does not hold.
pub fn check(setting: &Setting, mtus: Mtus) -> Result<Checked, Trouble> {
    full_size(setting, mtus.endpoint())?;
    let before = setting.crossed()?;
    pattern(setting)?;
    let after = setting.crossed()?;
    let crossed = after
        .zip(before)
        .map(|(after, before)| after.since(&before));
    let mut checked = Checked {
        full_size: mtus.endpoint(),
        bytes: BYTES as u64,
        segments: segments(mtus.endpoint()),
        on_the_way: None,
        elsewhere: None,
    };
    if let Some(crossed) = crossed {
        let packets = setting.packets(&crossed);
        let stray = packets.elsewhere as f64 > STRAY * checked.segments as f64;
        if packets.on_the_way < checked.segments || stray {
            return Err(Trouble::OtherWay {
                segments: checked.segments,
                on_the_way: packets.on_the_way,
                elsewhere: packets.elsewhere,
            });
        }
        checked.on_the_way = Some(packets.on_the_way);
        checked.elsewhere = Some(packets.elsewhere);
    }
    Ok(checked)
}

/// The fewest segments that carry [`BYTES`].
fn segments(mtu: Mtu) -> u64 {
    let most = usize::from(mtu.get()) - ipv4::LEN - tcp::LEN;
    BYTES.div_ceil(most) as u64
}

/// Has packets of the endpoints' MTU echoed; if none comes back, looks for the longest that does.
fn full_size(setting: &Setting, mtu: Mtu) -> Result<(), Trouble> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let server = setting.server();
        let (told, address) = std::sync::mpsc::channel();
        let over = &over;
        let echoing = scope.spawn(move || -> Result<(), Trouble> {
            server.namespace().enter()?;
            let socket = datagrams(server.address())?;
            let address = socket.local_addr().map_err(failed)?;
            let _ = told.send(address);
            let mut buffer = vec![0; usize::from(u16::MAX)];
            while !over.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    // An answer that cannot be sent is missed at the other side.
                    let _ = socket.send_to(&buffer[..length], from);
                }
            }
            Ok(())
        });
        let asked = match address.recv() {
            Ok(address) => {
                let ip = setting.client().ip();
                let looked = setting.client().namespace().run(|| look(ip, address, mtu));
                looked.map_err(Trouble::from).and_then(|looked| looked)
            }
            Err(_) => Ok(()),
        };
        over.store(true, Ordering::Relaxed);
        let echoed = echoing.join().unwrap_or(Err(Trouble::GivenUp));
        // Rather what the datapath says, if it died.
        setting.check()?;
        echoed.and(asked)
    })
}

/// Sends to who echoes, from the calling thread's namespace.
fn look(ip: std::net::Ipv4Addr, to: SocketAddr, mtu: Mtu) -> Result<(), Trouble> {
    let socket = datagrams(SocketAddrV4::new(ip, 0))?;
    socket.connect(to).map_err(failed)?;
    let began = Instant::now();
    while !passes(&socket, SHORT, 1) {
        if began.elapsed() > PATIENCE {
            return Err(Trouble::NoWay);
        }
    }
    if passes(&socket, mtu.get(), TRIES) {
        return Ok(());
    }
    let (mut passed, mut lost) = (SHORT, mtu.get());
    while lost - passed > 1 {
        let middle = u16::midpoint(passed, lost);
        if passes(&socket, middle, FEWER_TRIES) {
            passed = middle;
        } else {
            lost = middle;
        }
    }
    Err(Trouble::Size {
        mtu,
        longest: passed,
    })
}

/// Whether an IP packet of so many bytes comes back; one that must not be cut into fragments.
fn passes(socket: &UdpSocket, bytes: u16, tries: u32) -> bool {
    let payload = usize::from(bytes) - ipv4::LEN - udp::LEN;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    (0..tries).any(|_| {
        // One that the kernel does not send is as good as lost.
        if socket.send(&vec![1; payload]).is_err() {
            std::thread::sleep(ANSWER);
            return false;
        }
        let began = Instant::now();
        while began.elapsed() < ANSWER {
            // Late ones of other sizes are passed over.
            if socket
                .recv(&mut buffer)
                .is_ok_and(|length| length == payload)
            {
                return true;
            }
        }
        false
    })
}

/// A socket for datagrams that are never cut into fragments, in the calling thread's namespace.
fn datagrams(address: SocketAddrV4) -> Result<UdpSocket, Trouble> {
    let socket = UdpSocket::bind(address).map_err(refused(address))?;
    socket.set_read_timeout(Some(ANSWER)).map_err(failed)?;
    let never = libc::IP_PMTUDISC_PROBE;
    // SAFETY: a valid descriptor, and a value of the size that is given.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            (&raw const never).cast(),
            size_of_val(&never) as libc::socklen_t,
        )
    };
    match set {
        0 => Ok(socket),
        _ => Err(failed(io::Error::last_os_error())),
    }
}

fn failed(source: io::Error) -> Trouble {
    let doing = "sending datagrams";
    Trouble::Socket { doing, source }
}

/// Sends a pattern by one stream, each byte of which the server compares.
fn pattern(setting: &Setting) -> Result<(), Trouble> {
    let pattern = &pattern_bytes();
    let abort = &Abort::default();
    let came = std::thread::scope(|scope| {
        let (client, server) = (setting.client(), setting.server());
        let (told, address) = std::sync::mpsc::channel();
        let receiving = scope.spawn(move || -> Result<(), Trouble> {
            server.namespace().enter()?;
            let listener = Listener::at(server.address())?;
            let _ = told.send(listener.address()?);
            match listener.accept(|| abort.is_set())? {
                Some(mut connection) => compare(&mut connection, pattern, abort),
                None => Err(Trouble::GivenUp),
            }
        });
        let sent = address.recv().map_err(|_| Trouble::GivenUp).and_then(|to| {
            let sent = client.namespace().run(|| send(to, pattern, abort));
            sent.map_err(Trouble::from).and_then(|sent| sent)
        });
        if sent.is_err() {
            abort.set();
        }
        let came = receiving.join().unwrap_or(Err(Trouble::GivenUp));
        match (came, sent) {
            (Err(Trouble::GivenUp), Err(sent)) => Err(sent),
            (came, sent) => came.and(sent),
        }
    });
    setting.check()?;
    came
}

/// Differs from byte to byte, and from one place to another.
fn pattern_bytes() -> Vec<u8> {
    (0..PATTERN as u64)
        .map(|place| (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}

fn send(to: SocketAddr, pattern: &[u8], abort: &Abort) -> Result<(), Trouble> {
    let mut connection = Connection::to(to)?;
    let mut sent = 0;
    while sent < BYTES {
        let rest = &pattern[sent % PATTERN..];
        sent += connection.write(&rest[..rest.len().min(BYTES - sent)], abort)?;
    }
    connection.finish()?;
    connection.read(&mut [0], abort)?;
    Ok(())
}

fn compare(connection: &mut Connection, pattern: &[u8], abort: &Abort) -> Result<(), Trouble> {
    let mut buffer = vec![0; PATTERN];
    let mut came = 0;
    loop {
        let rest = PATTERN - came % PATTERN;
        let length = connection.read(&mut buffer[..rest], abort)?;
        let wanted = &pattern[came % PATTERN..][..length];
        let mut pairs = buffer.iter().zip(wanted);
        if let Some(at) = pairs.position(|(got, wanted)| got != wanted) {
            return Err(Trouble::Corrupted { at: came + at });
        }
        came += length;
        if length == 0 {
            return if came == BYTES {
                Ok(())
            } else {
                Err(Trouble::Cut { came, sent: BYTES })
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_out_of_step_wherever_bytes_go_missing() {
        let pattern = pattern_bytes();
        for missing in [1, 8, 1448, 1460, 4096, 65_520] {
            let shifted = pattern.iter().cycle().skip(missing);
            let equal = pattern.iter().zip(shifted).filter(|(a, b)| a == b).count();
            assert!(equal < PATTERN / 20, "{missing}: {equal}");
        }
    }

    #[test]
    fn segments_are_of_full_size() {
        assert_eq!(segments(Mtu::ETHERNET), (4_u64 << 20).div_ceil(1460));
    }
}
