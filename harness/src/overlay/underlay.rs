//! The underlay that joins droplets: a program at the other ends of their uplinks that sends each packet to the droplet
//! whose Ethernet address it bears, and counts it.

use crate::tester::{self, load};
use aya::Ebpf;
use aya::maps::PerCpuArray;
use aya::programs::XdpMode;
use bpf_load::{fill, load_program, program};
use netdev::{Cpu, Interface, Link, Urgency};
use std::sync::atomic::{AtomicU32, Ordering};
use topologies::provision::Host;
use workload::underlay::{Crossing, DROPLETS, UnderlayPort, key};

/// A program of the underlay.
const UNDERLAY: &str = "underlay";

/// Packets between droplets, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Crossed {
    /// By where they came from, and where they went to.
    pub between: Vec<Vec<u64>>,
    /// To addresses that no droplet has.
    pub to_nobody: u64,
    /// Cut off.
    pub cut: u64,
}

impl Crossed {
    /// What a droplet got from all others.
    pub fn to(&self, droplet: usize) -> u64 {
        let counts = self.between.iter().filter_map(|row| row.get(droplet));
        counts.sum()
    }

    /// All packets, wherever they went.
    pub fn total(&self) -> u64 {
        self.between.iter().flatten().sum::<u64>() + self.to_nobody + self.cut
    }

    /// What crossed since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let row = |(now, before): (&Vec<u64>, &Vec<u64>)| {
            let counts = now.iter().zip(before);
            counts
                .map(|(now, before)| now.saturating_sub(*before))
                .collect()
        };
        Self {
            between: self.between.iter().zip(&earlier.between).map(row).collect(),
            to_nobody: self.to_nobody.saturating_sub(earlier.to_nobody),
            cut: self.cut.saturating_sub(earlier.cut),
        }
    }
}

/// How old frames of the tester were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Ages {
    /// Nanoseconds since they were due, all together.
    pub sum_ns: u64,
    /// How many.
    pub frames: u64,
}

impl Ages {
    /// Of those since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            sum_ns: self.sum_ns.saturating_sub(earlier.sum_ns),
            frames: self.frames.saturating_sub(earlier.frames),
        }
    }

    /// Their mean age in nanoseconds; `None` if there was no frame.
    pub fn mean_ns(self) -> Option<f64> {
        (self.frames > 0).then(|| self.sum_ns as f64 / self.frames as f64)
    }
}

/// See the module's documentation. Dropping it takes the programs away.
pub struct Underlay {
    ebpf: Ebpf,
    ports: Vec<(Interface, UnderlayPort)>,
    /// How often each of the ports had lost its link when it was last asked.
    link_losses: Vec<AtomicU32>,
}

/// A droplet to which no way leads, or led for a while, since there was no link: no figure of that time is a datapath's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parted {
    /// The droplet's number.
    pub droplet: usize,
    /// The link is back.
    pub is_back: bool,
}

impl Underlay {
    /// Joins droplets, each by its host and the other end of its uplink, with all its work on `cpu`.
    ///
    /// # Errors
    /// Where the kernel refuses, or there are too many.
    pub fn join(droplets: &[(Host, Interface)], cpu: Cpu) -> Result<Self, tester::Error> {
        let Some((_, first)) = droplets.first() else {
            return Err(tester::Error::Workload("there is no droplet".to_owned()));
        };
        if droplets.len() > DROPLETS as usize {
            let reason = format!("{} droplets are more than {DROPLETS}", droplets.len());
            return Err(tester::Error::Workload(reason));
        }
        let ports: Vec<_> = (0..)
            .zip(droplets)
            .map(|(droplet, (_, interface))| {
                let port = UnderlayPort {
                    droplet,
                    active: 1,
                    ..UnderlayPort::default()
                };
                (interface.clone(), port)
            })
            .collect();
        let ebpf = first.namespace().run(|| -> Result<Ebpf, tester::Error> {
            let mut ebpf = load(1, ports.len() as u32)?;
            load_program(&mut ebpf, UNDERLAY)?;
            let known = ports.iter().map(|(at, port)| (at.index(), *port));
            fill(&ebpf, "UNDERLAY", known)?;
            let hosts = droplets.iter().map(|(host, _)| key(host.mac.octets()));
            let addresses = hosts.zip(ports.iter().map(|(_, port)| port.droplet));
            fill(&ebpf, "DROPLET", addresses)?;
            let ends = ports
                .iter()
                .map(|(at, port)| (port.droplet, [at.index(), 0]));
            fill(&ebpf, "TOWARDS", ends)?;
            for (interface, _) in &ports {
                program(&mut ebpf, UNDERLAY)?
                    .attach_to_if_index(interface.index(), XdpMode::Driver)
                    .map_err(|e| bpf_load::Error::failed("attaching the underlay", &e))?;
            }
            Ok(ebpf)
        })??;
        for (interface, _) in &ports {
            interface.thread_napi(cpu, Urgency::Prompt)?;
        }
        let link_losses = ports.iter().map(|_| AtomicU32::new(0)).collect();
        Ok(Self {
            ebpf,
            ports,
            link_losses,
        })
    }

    /// Cuts the way from one droplet to another, or mends it.
    ///
    /// # Errors
    /// Where there is no such droplet.
    pub fn cut(&mut self, from: usize, to: usize, cut: bool) -> Result<(), tester::Error> {
        let port = self.ports.get_mut(from).filter(|_| to < DROPLETS as usize);
        let Some((interface, port)) = port else {
            let reason = format!("there is no way from droplet {from} to {to}");
            return Err(tester::Error::Workload(reason));
        };
        port.set_cut(to as u32, cut);
        fill(
            &self.ebpf,
            "UNDERLAY",
            [(interface.index(), *port)].into_iter(),
        )?;
        Ok(())
    }

    /// The first droplet to which no way leads, or led for a while since this was last asked.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub fn parted(&self) -> Result<Option<Parted>, netdev::Error> {
        let mut parted = None;
        for ((interface, port), known) in self.ports.iter().zip(&self.link_losses) {
            let droplet = port.droplet as usize;
            // Of a device that is gone, as that of a droplet which ended is, nothing is counted.
            let gone = Link {
                is_up: false,
                losses: known.load(Ordering::Relaxed),
            };
            let Link {
                is_up: is_back,
                losses,
            } = interface.link()?.unwrap_or(gone);
            let has_lost = known.swap(losses, Ordering::Relaxed) != losses;
            if parted.is_none() && (has_lost || !is_back) {
                parted = Some(Parted { droplet, is_back });
            }
        }
        Ok(parted)
    }

    /// Has it kept when the last packet went from each droplet to each other; see [`Self::last_crossings`].
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn time_crossings(&mut self) -> Result<(), tester::Error> {
        self.set_all(|port| port.timed = 1)
    }

    /// When the last packet went from each droplet to each other, in nanoseconds of CLOCK_MONOTONIC; zero if none did, or it
    /// was not kept.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn last_crossings(&self) -> Result<Vec<Vec<u64>>, tester::Error> {
        let last = |values: &[u64]| values.iter().copied().max().unwrap_or(0);
        let droplets = 0..self.ports.len() as u32;
        let places = |from: u32| droplets.clone().map(move |to| Crossing::To(to).place(from));
        let rows = droplets
            .clone()
            .map(|from| self.read("LAST", places(from), last));
        rows.collect()
    }

    /// Has the ages of the tester's frames summed up, or no longer; see [`Self::ages`].
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn sum_ages(&mut self, wanted: bool) -> Result<(), tester::Error> {
        self.set_all(|port| port.aged = u8::from(wanted))
    }

    /// For each droplet, how old the tester's frames were when they reached it so far.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn ages(&self) -> Result<Vec<Ages>, tester::Error> {
        let sum = |values: &[u64]| values.iter().sum();
        let droplets = 0..self.ports.len() as u32;
        let mut ages = vec![Ages::default(); self.ports.len()];
        for from in droplets.clone() {
            let places = || droplets.clone().map(|to| Crossing::To(to).place(from));
            let sums = self.read("AGES", places(), sum)?;
            let frames = self.read("AGED", places(), sum)?;
            for (ages, (sum, frames)) in ages.iter_mut().zip(sums.into_iter().zip(frames)) {
                ages.sum_ns += sum;
                ages.frames += frames;
            }
        }
        Ok(ages)
    }

    /// Changes what all ports are told.
    fn set_all(&mut self, change: impl Fn(&mut UnderlayPort)) -> Result<(), tester::Error> {
        self.ports.iter_mut().for_each(|(_, port)| change(port));
        let ports = self.ports.iter().map(|(at, port)| (at.index(), *port));
        Ok(fill(&self.ebpf, "UNDERLAY", ports)?)
    }

    /// Values of a map at these places, each of all processors together.
    fn read(
        &self,
        map: &str,
        places: impl Iterator<Item = u32>,
        together: impl Fn(&[u64]) -> u64,
    ) -> Result<Vec<u64>, tester::Error> {
        let failed = |e: aya::maps::MapError| bpf_load::Error::failed(format!("reading {map}"), &e);
        let array = PerCpuArray::<_, u64>::try_from(bpf_load::map(&self.ebpf, map)?);
        let array = array.map_err(failed)?;
        let value = |place: u32| Ok(together(&array.get(&place, 0).map_err(failed)?));
        places.map(value).collect()
    }

    /// Takes the return-to-sender option off every packet from now on, so that nobody learns a direct path.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn blank_return(&mut self) -> Result<(), tester::Error> {
        self.set_all(|port| port.blank_return = 1)
    }

    /// What crossed so far.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn crossed(&self) -> Result<Crossed, tester::Error> {
        let sum = |values: &[u64]| values.iter().sum();
        let droplets = 0..self.ports.len() as u32;
        let mut crossed = Crossed::default();
        for from in droplets.clone() {
            let to_droplets = droplets.clone().map(Crossing::To);
            let all = to_droplets.chain([Crossing::Nobody, Crossing::Cut]);
            let mut counts = self.read("CROSSED", all.map(|it| it.place(from)), sum)?;
            crossed.cut += counts.pop().unwrap_or(0);
            crossed.to_nobody += counts.pop().unwrap_or(0);
            crossed.between.push(counts);
        }
        Ok(crossed)
    }
}
