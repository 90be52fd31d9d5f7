//! The harness: lab, tester, rate search, records and report. The program `bench` is its command line.

pub mod lab;
pub mod record;
pub mod search;
pub mod tester;
