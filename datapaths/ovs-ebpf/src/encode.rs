//! Actions in the fixed layout of a map's value, and back.

use crate::notation::{Action, Set};
use crate::table::Error;
use megaflow::flow::{STEPS, operation};
use megaflow::tunnel::{HEADER, SHORTEST};
use megaflow::{Flow, Step};
use mizar_wire::geneve::{ENCAPSULATION_LEN, SHORT_ENCAPSULATION_LEN};
use zerocopy::IntoBytes;

/// A flow with these actions.
pub fn encode(does: &[Action]) -> Result<Flow, Error> {
    let mut flow = Flow::NONE;
    if does.len() > STEPS {
        return Err(Error::Actions("more actions than a flow has room for"));
    }
    let is_pop = |action: &Action| matches!(action, Action::Pop(_));
    if does.len() > 1 && does.iter().any(is_pop) {
        return Err(Error::Actions("something beside taking outer headers off"));
    }
    let mut is_pushed = false;
    for (step, action) in flow.steps.iter_mut().zip(does) {
        *step = match action {
            Action::Output(port) => Step {
                operation: operation::OUTPUT,
                port: *port,
                ..Step::NONE
            },
            Action::Pop(port) => Step {
                operation: operation::POP,
                port: *port,
                ..Step::NONE
            },
            Action::Push(bytes) => {
                if std::mem::replace(&mut is_pushed, true) {
                    return Err(Error::Actions("outer headers in front of outer headers"));
                }
                if !matches!(
                    bytes.len(),
                    SHORTEST | SHORT_ENCAPSULATION_LEN | ENCAPSULATION_LEN
                ) {
                    return Err(Error::Actions("outer headers with some options"));
                }
                let mut header = [0; HEADER];
                header[..bytes.len()].copy_from_slice(bytes);
                for (word, bytes) in flow.header.iter_mut().zip(header.chunks_exact(8)) {
                    let mut octets = [0; 8];
                    octets.copy_from_slice(bytes);
                    *word = u64::from_ne_bytes(octets);
                }
                Step {
                    operation: operation::PUSH,
                    len: bytes.len() as u16,
                    ..Step::NONE
                }
            }
            Action::Set(_) if is_pushed => {
                return Err(Error::Actions("a change of outer headers"));
            }
            Action::Set(set) => Step {
                operation: set.operation,
                value: set.value,
                mask: set.mask,
                ..Step::NONE
            },
        };
    }
    Ok(flow)
}

/// The actions of a flow.
pub fn decode(flow: &Flow) -> Vec<Action> {
    let steps = flow.steps.iter().take_while(|step| step.operation != 0);
    let action = |step: &Step| match step.operation {
        operation::OUTPUT => Action::Output(step.port),
        operation::POP => Action::Pop(step.port),
        operation::PUSH => {
            let len = usize::from(step.len).min(HEADER);
            Action::Push(flow.header.as_bytes()[..len].to_vec())
        }
        _ => Action::Set(Set {
            operation: step.operation,
            value: step.value,
            mask: step.mask,
        }),
    };
    steps.map(action).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::actions;

    #[test]
    fn actions_are_what_they_were() {
        for text in [
            "drop",
            "9",
            "tnl_pop(4)",
            "set(eth(dst=02:00:00:00:00:77)),set(ipv4(src=10.0.0.1,ttl=63)),set(udp(dst=53)),9",
            "3,9",
        ] {
            let does = actions(text).unwrap();
            assert_eq!(decode(&encode(&does).unwrap()), does, "{text}");
        }
        for len in [50, 98, 114] {
            let does = vec![Action::Push((0..len).collect()), Action::Output(1)];
            assert_eq!(decode(&encode(&does).unwrap()), does);
        }
        let does = vec![Action::Push((0..106).collect()), Action::Output(1)];
        assert!(encode(&does).is_err());
    }
}
