//! Frames into the switch: each port's are sent to the device by which the switch has that port.

use crate::slow_path::upcalls::Answer;
use datapath_api::Error;
use megaflow::map::Upcall;
use netdev::{Namespace, PacketSocket};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// Frames that may wait in a device for the switch: half of what there is room for (`TUN_READQ_SIZE` of
/// drivers/net/tun.c).
const WAITING: u64 = 256;
/// How many frames go before it is looked how many wait.
const LOOK: u64 = WAITING / 2;
/// How long the switch may take none at all.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long is waited for it at a time.
const PAUSE: Duration = Duration::from_micros(50);

/// A device of the switch.
struct Device {
    name: String,
    socket: PacketSocket,
    /// Frames that were sent to it, by whomever.
    sent: u64,
    /// Those since it was last looked whether the switch is there.
    unsure: u64,
}

/// See the module's documentation.
pub struct Feed {
    devices: HashMap<u32, Device>,
    /// `/proc/net/dev` of the devices' namespace.
    statistics: File,
    /// Told that the switch has got something new.
    told: SyncSender<()>,
    lost: u64,
}

impl Feed {
    /// Feeds the devices of `namespace` with these names, by number of the port. `told` is told of it.
    ///
    /// # Errors
    /// Where a device is not there.
    pub fn new(
        namespace: &Namespace,
        devices: &[(u32, String)],
        told: SyncSender<()>,
    ) -> Result<Self, Error> {
        let mut statistics = namespace
            .run(|| File::open("/proc/thread-self/net/dev"))?
            .map_err(|error| Error::failed("opening the statistics of devices", error))?;
        let mut known = HashMap::new();
        for (port, name) in devices {
            let device = Device {
                sent: taken(&mut statistics, name)?,
                socket: PacketSocket::for_sending(namespace, name)?,
                name: name.clone(),
                unsure: 0,
            };
            known.insert(*port, device);
        }
        Ok(Self {
            devices: known,
            statistics,
            told,
            lost: 0,
        })
    }

    /// Frames that there was no room for, or no switch.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

/// Waits until the switch has taken enough for more.
fn wait(device: &Device, statistics: &mut File) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        let taken = taken(statistics, &device.name)?;
        if device.sent.saturating_sub(taken) + LOOK <= WAITING {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            let (name, seconds) = (&device.name, PATIENCE.as_secs());
            let reason = format!("it took no frame of {name} in {seconds} s");
            return Err(Error::failed("giving a frame to the switch", reason));
        }
        std::thread::sleep(PAUSE);
    }
}

impl Answer for Feed {
    fn answer(&mut self, upcall: &Upcall, frame: &[u8]) -> Result<(), Error> {
        let Some(device) = self.devices.get_mut(&upcall.port) else {
            return Ok(());
        };
        if !device.socket.offer(frame)? {
            self.lost += 1;
            return Ok(());
        }
        device.sent += 1;
        device.unsure += 1;
        if device.sent.is_multiple_of(LOOK) {
            wait(device, &mut self.statistics)?;
        }
        Ok(())
    }

    fn tidy(&mut self) -> Result<(), Error> {
        let mut is_new = false;
        for device in self.devices.values_mut().filter(|it| it.unsure > 0) {
            let unsure = std::mem::take(&mut device.unsure);
            if device.socket.has_link()? {
                is_new = true;
            } else {
                // It outlives the switch, and takes frames without a word.
                self.lost += unsure;
            }
        }
        if is_new {
            // If it was told already it will look anyway.
            let _ = self.told.try_send(());
        }
        Ok(())
    }
}

/// Frames that a device handed to the switch, or had no room for.
fn taken(statistics: &mut File, name: &str) -> Result<u64, Error> {
    let doing = "reading the statistics of devices";
    let mut text = String::new();
    statistics
        .rewind()
        .and_then(|()| statistics.read_to_string(&mut text))
        .map_err(|error| Error::failed(doing, error))?;
    sent_or_dropped(&text, name).ok_or_else(|| Error::failed(doing, format!("{name} is missing")))
}

/// Frames that a device sent or dropped, by `/proc/net/dev` (`dev_seq_printf_stats` of net/core/net-procfs.c).
fn sent_or_dropped(text: &str, name: &str) -> Option<u64> {
    let of_device = |line: &str| {
        let (device, numbers) = line.split_once(':')?;
        (device.trim() == name).then(|| numbers.to_owned())
    };
    let numbers = text.lines().find_map(of_device)?;
    // Behind eight numbers of what was received: bytes, packets, errors, dropped.
    let mut sent = numbers.split_whitespace().skip(8).map(str::parse::<u64>);
    let packets = sent.nth(1)?.ok()?;
    let dropped = sent.nth(1)?.ok()?;
    Some(packets + dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_sent_and_dropped_is_read() {
        let text = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
behind1:    640      10    0    1    0     0          0         0     1280      20    0    3    0     0       0          0
";
        assert_eq!(sent_or_dropped(text, "behind1"), Some(23));
        assert_eq!(sent_or_dropped(text, "lo"), Some(0));
        assert_eq!(sent_or_dropped(text, "behind"), None);
    }
}
