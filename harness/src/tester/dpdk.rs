//! The DPDK tester: a process whose one thread polls virtio devices, at the other sides of a droplet's vhost-user ports.

use super::workload::Workload;
use super::{Error, Offer, Report, Tester};
use crate::lab::VhostUserLab;
use datapath_api::TESTER_MEBIBYTES;
use dpdk_client::{Client, Launched, devices};
use dpdk_protocol::{Engine, Memory, Start, Test, Work};
use netdev::Cpu;
use zerocopy::IntoBytes;

/// A tester at the other sides of a droplet's vhost-user ports.
pub struct DpdkTester {
    client: Client,
}

/// A tester that waits for a droplet to connect.
pub struct WaitingDpdkTester(Launched);

impl DpdkTester {
    /// A tester of `workload` at the ports of `lab`. It waits for a droplet, which must come before
    /// [`WaitingDpdkTester::connected`] is called.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn launch(
        lab: &VhostUserLab,
        workload: &Workload,
        through_null_forward: bool,
        cpu: Cpu,
    ) -> Result<WaitingDpdkTester, Error> {
        let entries = lab.folder().join("entries");
        std::fs::write(&entries, workload.entries.as_bytes())
            .map_err(|e| Error::Workload(format!("writing {}: {e}", entries.display())))?;
        let devices = devices::of_tester(lab.ports());
        let start = Start {
            engine: Engine::Burst,
            cpu: cpu.0,
            memory: Memory::Huge,
            mebibytes: TESTER_MEBIBYTES,
            work: Work::Test(Test {
                entries,
                inner_at: workload.inner_at(devices.len(), through_null_forward),
            }),
            devices,
        };
        Ok(WaitingDpdkTester(Client::launch(start, None)?))
    }
}

impl WaitingDpdkTester {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// The tester, when the droplet has connected.
    ///
    /// # Errors
    /// Where it does not.
    pub fn connected(self) -> Result<DpdkTester, Error> {
        let client = self.0.started()?;
        client.prioritised_threads()?;
        Ok(DpdkTester { client })
    }
}

impl Tester for DpdkTester {
    fn offer(&mut self, offer: &Offer) -> Result<Report, Error> {
        Ok(self.client.offer(offer.order())?.into())
    }
}
