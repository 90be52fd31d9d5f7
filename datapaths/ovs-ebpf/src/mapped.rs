//! An array map's values, mapped into this process.

use aya::maps::MapData;
use memmap2::{MmapOptions, MmapRaw};
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The values. The kernel's programs read and write them at any time.
pub struct Mapped<T> {
    mapping: MmapRaw,
    count: u32,
    _map: MapData,
    _values: PhantomData<T>,
}

impl<T> Mapped<T> {
    /// Maps the `count` values of an array that may be mapped.
    pub fn new(map: MapData, count: u32) -> io::Result<Self> {
        // Values lie 8 bytes apart or a multiple of it (`array_map_alloc` of kernel/bpf/arraymap.c).
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        let len = size_of::<T>() * count as usize;
        let mapping = MmapOptions::new()
            .len(len)
            .populate()
            .map_raw(&map.fd().as_fd())?;
        Ok(Self {
            mapping,
            count,
            _map: map,
            _values: PhantomData,
        })
    }

    /// Where a value lies.
    pub fn at(&self, index: u32) -> Option<*mut T> {
        let values = self.mapping.as_mut_ptr().cast::<T>();
        (index < self.count).then(|| values.wrapping_add(index as usize))
    }
}

impl<T: FromBytes + IntoBytes + Immutable + Copy> Mapped<T> {
    /// A value, which may change while it is read.
    pub fn read(&self, index: u32) -> Option<T> {
        // SAFETY: in the mapping; any bytes are a value.
        self.at(index).map(|value| unsafe { value.read_volatile() })
    }

    /// Replaces a value, which may be read meanwhile.
    pub fn write(&mut self, index: u32, value: T) {
        if let Some(at) = self.at(index) {
            // SAFETY: in the mapping, which is this process's and programs' alone.
            unsafe { at.write_volatile(value) };
        }
    }
}
