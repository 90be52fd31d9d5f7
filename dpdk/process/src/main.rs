//! What runs on DPDK ports, on one processor: the Mizar core, run to completion, or a tester.
//!
//! Takes orders over the Unix socket that its one argument names (`dpdk-protocol`), and ends when the other side
//! closes it.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `orders` | the socket, and the thread that listens to it |
//! | `eal` | DPDK's environment: how it is started |
//! | `work` | what is done with a frame |
//! | `mbuf` | a frame in DPDK's memory |
//! | `device` | devices, and bursts of frames from and to them |
//! | `burst` | engine: receive, decide, send, in a loop |
//! | `pipeline` | engine: the same as pipelines of `capsule` |
//! | `tester` | a tester that polls |
//! | `injector` | single frames, to verify a datapath through its ports |
//! | `simulated` | a device with a known law, to try testers on |

mod burst;
mod device;
mod eal;
mod injector;
mod mbuf;
mod orders;
mod pipeline;
mod prefetch;
mod simulated;
mod tester;
mod vhost;
mod work;

use anyhow::{Context, bail};
use dpdk_protocol::{Answer, Engine, Request, Work};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(socket), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: dpdk-process SOCKET | --version; `bench` starts it");
        return ExitCode::from(2);
    };
    if socket == "--version" {
        println!("{}", eal::version());
        return ExitCode::SUCCESS;
    }
    match UnixStream::connect(&socket) {
        Err(error) => {
            eprintln!("dpdk-process: connecting to {}: {error}", socket.display());
            ExitCode::from(2)
        }
        Ok(mut socket) => match run(&mut socket) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("dpdk-process: {error:#}");
                // Whoever started it may be gone, and then there is nobody to tell.
                let _ = dpdk_protocol::send(&mut socket, &Answer::Failed(format!("{error:#}")));
                ExitCode::FAILURE
            }
        },
    }
}

fn run(socket: &mut UnixStream) -> anyhow::Result<()> {
    let start = match dpdk_protocol::receive(socket).context("waiting for orders")? {
        Some(Request::Start(start)) => start,
        Some(_) => bail!("the first order is not to start"),
        None => return Ok(()),
    };
    let inbox = orders::listen(socket.try_clone().context("duplicating a socket")?)?;
    match (&start.work, start.engine) {
        (Work::Simulate(law), _) => simulated::run(&start, law, &inbox),
        (Work::Inject, _) => injector::run(&start, &inbox),
        (Work::Test(test), _) => tester::run(&start, test, &inbox),
        (_, Engine::Burst) => burst::run(&start, &inbox),
        (_, Engine::Capsule) => pipeline::run(&start, inbox),
    }
}
