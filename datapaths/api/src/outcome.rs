//! What became of one frame, where it is seen from outside.

use crate::{Error, Outcome};

/// The only one of `outcomes`; `dropped` where there is none.
///
/// # Errors
/// Where there are several: no frame of an overlay leaves twice.
pub fn only_outcome(mut outcomes: Vec<Outcome>, dropped: Outcome) -> Result<Outcome, Error> {
    match outcomes.pop() {
        None => Ok(dropped),
        Some(only) if outcomes.is_empty() => Ok(only),
        Some(last) => {
            outcomes.push(last);
            Err(Error::failed("injecting a frame", several(&outcomes)))
        }
    }
}

fn several(outcomes: &[Outcome]) -> String {
    let places: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Forward { port, frame } => format!("{} B by {port}", frame.len()),
            Outcome::ToStack { frame } => format!("{} B to the stack", frame.len()),
            Outcome::Dropped { .. } => "none".to_owned(),
        })
        .collect();
    format!(
        "{} frames came out for one: {}",
        places.len(),
        places.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Why;
    use topologies::provision::Port;

    #[test]
    fn a_second_copy_is_an_error_that_says_where_each_went() {
        let dropped = || Outcome::Dropped {
            why: Why::Drop,
            reason: "nothing",
        };
        let out = || Outcome::Forward {
            port: Port::Uplink,
            frame: vec![0; 60],
        };
        assert_eq!(only_outcome(vec![], dropped()).unwrap(), dropped());
        assert_eq!(only_outcome(vec![out()], dropped()).unwrap(), out());
        let both = vec![out(), Outcome::ToStack { frame: vec![0; 42] }];
        let error = only_outcome(both, dropped()).unwrap_err().to_string();
        assert!(
            error.ends_with("2 frames came out for one: 60 B by uplink, 42 B to the stack"),
            "{error}"
        );
    }
}
