//! What programs around the core share: its tables in maps, and what is done to a frame once it was decided about.

#![no_std]
#![feature(asm_experimental_arch)]

pub mod actions;
pub mod tables;
