//! Sends single frames, and tells what comes back.

use crate::device::{Burst, Pool, Port, await_all, open_all};
use crate::eal::Environment;
use crate::orders::Inbox;
use anyhow::{Context, ensure};
use dpdk_protocol::{Answer, Request, Start};
use mizar_droplet::Buffer;

/// Carries out orders until the other side ends.
pub fn run(start: &Start, inbox: &Inbox) -> anyhow::Result<()> {
    let _environment = Environment::start(start)?;
    let pool = Pool::new(c"frames")?;
    let mut ports = open_all(&start.devices, pool)?;
    await_all(&start.devices);
    inbox.started()?;
    while let Some(order) = inbox.wait() {
        let answer = match &order.request {
            Request::Inject(place, frame) => match send(&mut ports, pool, *place, frame) {
                Ok(()) => Answer::Sent,
                Err(error) => Answer::Failed(format!("{error:#}")),
            },
            Request::Collect => Answer::Collected(collect(&mut ports)),
            other => Answer::Failed(format!("an injector cannot answer {other:?}")),
        };
        // Who asked may be gone.
        let _ = order.answer.send(answer);
    }
    Ok(())
}

fn send(ports: &mut [Port], pool: Pool, place: usize, frame: &[u8]) -> anyhow::Result<()> {
    let port = ports.get_mut(place).context("there is no such device")?;
    let mut burst = Burst::EMPTY;
    ensure!(pool.fill(&mut burst), "no memory for a frame is left");
    let mut buffer = burst.pop().context("no memory for a frame is left")?;
    let bytes = buffer.reset(frame.len());
    bytes
        .with_context(|| format!("a frame of {} bytes is too long", frame.len()))?
        .copy_from_slice(frame);
    port.outgoing.push(buffer);
    ensure!(port.flush() == 0, "the device is full");
    Ok(())
}

/// All that came by now.
fn collect(ports: &mut [Port]) -> Vec<(usize, Vec<u8>)> {
    let mut frames = Vec::new();
    let mut burst = Burst::EMPTY;
    for (place, port) in ports.iter_mut().enumerate() {
        loop {
            port.receive(&mut burst);
            if burst.len() == 0 {
                break;
            }
            while let Some(mut frame) = burst.pop() {
                frames.push((place, frame.frame_mut().to_vec()));
            }
        }
    }
    frames
}
