//! The harness: lab, tester, rate search, records and report. The program `bench` is its command line.

mod at_once;
pub mod cli;
pub mod compare;
pub mod decide;
pub mod environment;
pub mod figure;
pub mod flow_setup;
pub mod health;
pub mod lab;
pub mod lines;
pub mod overlay;
pub mod profile;
pub mod questions;
pub mod record;
pub mod registry;
pub mod remote;
pub mod report;
pub mod run;
pub mod search;
pub mod sockets;
pub mod stages;
pub mod tester;
pub mod verify;
