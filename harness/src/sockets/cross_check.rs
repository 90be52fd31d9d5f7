//! The same, measured by programs that others know, where they are installed: a check on client and server of our own.

use super::record::Job;
use super::socket::PATIENCE;
use super::{Setting, Trouble, endpoint::Endpoint, exchange::Span};
use netdev::process::{self, Place, Process};
use netdev::scratch_folder;
use std::fs::File;
use std::net::SocketAddrV4;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often what waits looks whether the datapath is well.
const TICK: Duration = Duration::from_millis(50);

/// A program that measures sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Throughput of streams.
    Iperf3,
    /// Requests and responses, and connections.
    Netperf,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Iperf3, Self::Netperf];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iperf3 => "iperf3",
            Self::Netperf => "netperf",
        }
    }

    const fn server(self) -> &'static str {
        match self {
            Self::Iperf3 => "iperf3",
            Self::Netperf => "netserver",
        }
    }

    /// How to get it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Iperf3 => "apt-get install --no-install-recommends iperf3",
            Self::Netperf => {
                "apt-get install --no-install-recommends netperf (Debian: from non-free; Ubuntu: from multiverse)"
            }
        }
    }

    /// Whether it is installed.
    pub fn is_here(self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_in =
            |program: &str| std::env::split_paths(&path).any(|it| it.join(program).is_file());
        is_in(self.name()) && is_in(self.server())
    }

    /// Whether it does a job.
    pub fn does(self, job: Job) -> bool {
        matches!(job, Job::Streams { .. }) == (self == Self::Iperf3)
    }

    fn serve(self, at: SocketAddrV4) -> Vec<String> {
        let (ip, port) = (&*at.ip().to_string(), at.port().to_string());
        let words = match self {
            Self::Iperf3 => vec!["-s", "-B", ip, "-p", &port],
            Self::Netperf => vec!["-D", "-N", "-4", "-L", ip, "-p", &port],
        };
        words.into_iter().map(str::to_owned).collect()
    }

    fn ask(self, at: SocketAddrV4, job: Job, span: Span) -> Vec<String> {
        let (ip, port) = (&*at.ip().to_string(), at.port().to_string());
        // Neither knows parts of a second.
        let seconds = |time: Duration| time.as_secs_f64().ceil().to_string();
        let (window, ramp) = (seconds(span.window), seconds(span.ramp));
        // What netperf measures goes by a connection of its own: by the next port, which access lists may let through as well.
        let next = format!("0,{}", at.port().saturating_add(1));
        let streams = job.clients().to_string();
        let words = match self {
            Self::Iperf3 => vec![
                "-c", ip, "-p", &port, "-t", &window, "-O", &ramp, "-P", &streams, "-J",
            ],
            Self::Netperf => {
                let test = match job {
                    Job::Connections => "TCP_CRR",
                    _ => "TCP_RR",
                };
                vec![
                    "-4",
                    "-H",
                    ip,
                    "-p",
                    &port,
                    "-t",
                    test,
                    "-l",
                    &window,
                    "-P",
                    "0",
                    "--",
                    "-r",
                    "1,1",
                    "-P",
                    &next,
                    "-k",
                    "THROUGHPUT",
                ]
            }
        };
        words.into_iter().map(str::to_owned).collect()
    }

    /// The bits, requests or connections a second in what it printed.
    ///
    /// # Errors
    /// What it printed, where that is no figure.
    pub fn figure(self, printed: &str) -> Result<f64, String> {
        let figure = match self {
            Self::Iperf3 => {
                let said: serde_json::Value = serde_json::from_str(printed).unwrap_or_default();
                if let Some(error) = said["error"].as_str() {
                    return Err(error.to_owned());
                }
                said["end"]["sum_received"]["bits_per_second"].as_f64()
            }
            Self::Netperf => {
                let mut lines = printed.lines();
                let figure = lines.find_map(|line| line.trim().strip_prefix("THROUGHPUT="));
                figure.and_then(|figure| figure.parse().ok())
            }
        };
        figure.ok_or_else(|| format!("no figure in: {}", printed.trim()))
    }
}

/// Has `program` do `job` between client and server of `setting`; bits, requests or connections a second.
///
/// # Errors
/// Where it says no figure, or a droplet dies.
pub fn measure(program: Program, setting: &Setting, job: Job, span: Span) -> Result<f64, Trouble> {
    let failed = |reason: String| Trouble::Program {
        program: program.name(),
        reason,
    };
    let folder = scratch_folder("bench-cross-check-")?;
    let start = |name, endpoint: &Endpoint, words: &[String], prints: &Path| {
        start(name, endpoint, words, prints).map_err(failed)
    };
    let at = setting.server().address();
    let (said, printed) = (folder.path().join("server"), folder.path().join("client"));
    let server = start(
        program.server(),
        setting.server(),
        &program.serve(at),
        &said,
    )?;
    let ready = server.until(PATIENCE, || listens(server.pid, at.port()));
    ready.map_err(|error| failed(error.to_string()))?;
    let words = program.ask(at, job, span);
    let client = start(program.name(), setting.client(), &words, &printed)?;
    let (began, most) = (Instant::now(), span.ramp + span.window + PATIENCE);
    while !client.wait(TICK) {
        setting.check()?;
        if began.elapsed() > most {
            return Err(failed(format!(
                "it did not end within {} s",
                most.as_secs()
            )));
        }
    }
    setting.check()?;
    let printed = std::fs::read_to_string(&printed).unwrap_or_default();
    program.figure(&printed).map_err(failed)
}

/// A program in an endpoint's namespace and on its processor, which prints into a file.
fn start(
    name: &'static str,
    endpoint: &Endpoint,
    words: &[String],
    prints: &Path,
) -> Result<Process, String> {
    let start = || -> anyhow::Result<Process> {
        let file = File::create(prints)?;
        let mut program = process::Program::new(name);
        program.args(words).stderr(file.try_clone()?).stdout(file);
        let place = Place {
            namespace: Some(endpoint.namespace().as_fd().try_clone_to_owned()?),
            cpu: Some(endpoint.cpu()),
        };
        Ok(Process::start(name, program, place, prints)?)
    };
    start().map_err(|error| format!("{error:#}"))
}

/// Whether somebody listens at a port in the namespace of a process; state 0A, see proc(5).
fn listens(pid: u32, port: u16) -> bool {
    let sockets = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let port = format!(":{port:04X}");
    sockets.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("0A")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// iperf 3.12, without its intervals.
    const IPERF3: &str = r#"{
        "start": {"version": "iperf 3.12", "num_streams": 2},
        "intervals": [],
        "end": {
            "sum_sent": {"start": 0, "end": 1.000424, "seconds": 1.000424, "bytes": 2924347392,
                "bits_per_second": 23384863953.68364, "retransmits": 15, "sender": true},
            "sum_received": {"start": 0, "end": 0.998917, "seconds": 0.998917, "bytes": 2920284160,
                "bits_per_second": 23387602053.023422, "sender": true}
        }
    }"#;

    #[test]
    fn iperf3_says_what_arrived() {
        assert_eq!(Program::Iperf3.figure(IPERF3), Ok(23_387_602_053.023_422));
    }

    #[test]
    fn iperf3_says_what_went_wrong() {
        let printed = r#"{"start": {"connected": [], "version": "iperf 3.12"}, "intervals": [], "end": {},
            "error": "unable to connect to server: Connection refused"}"#;
        let error = Program::Iperf3.figure(printed).unwrap_err();
        assert_eq!(error, "unable to connect to server: Connection refused");
        let error = Program::Iperf3.figure("Segmentation fault\n").unwrap_err();
        assert_eq!(error, "no figure in: Segmentation fault");
    }

    /// netperf 2.7.0.
    #[test]
    fn netperf_says_its_transactions() {
        assert_eq!(
            Program::Netperf.figure("THROUGHPUT=67045.68\n"),
            Ok(67_045.68)
        );
        let refused = "establish control: are you sure there is a netserver listening on 10.9.0.1 at port 12998?\n\
            establish_control could not establish the control connection from 0.0.0.0 port 0 address family AF_INET to \
            10.9.0.1 port 12998 address family AF_INET\n";
        let error = Program::Netperf.figure(refused).unwrap_err();
        assert!(error.contains("are you sure"), "{error}");
    }

    #[test]
    fn each_job_has_one_program() {
        let streams = Job::Streams { streams: 4 };
        for job in [streams, Job::RequestResponse, Job::Connections] {
            let programs = Program::ALL.into_iter().filter(|it| it.does(job));
            assert_eq!(programs.count(), 1, "{job:?}");
        }
    }
}
