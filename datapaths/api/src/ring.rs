//! Ports made of rings: for datapaths that run in the process of the harness.

use rtrb::{Consumer, Producer, RingBuffer};

/// Bytes in front of a frame that a datapath may put outer headers into.
pub const HEADROOM: usize = 128;
/// Bytes of a frame with its outer headers at the most.
const CAPACITY: usize = 2048 - HEADROOM;

/// Aligned like a cache line, so that a frame starts at an even address.
#[repr(align(64))]
struct Memory([u8; HEADROOM + CAPACITY]);

/// A frame in memory, with room in front.
pub struct Buffer {
    memory: Box<Memory>,
    start: usize,
    end: usize,
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

impl Buffer {
    /// An empty frame.
    pub fn new() -> Self {
        Self {
            memory: Box::new(Memory([0; HEADROOM + CAPACITY])),
            start: HEADROOM,
            end: HEADROOM,
        }
    }

    /// Bytes of the longest frame it can take without outer headers.
    pub const fn capacity() -> usize {
        CAPACITY
    }

    /// Empties it, makes it `len` bytes long and hands out the bytes, which are what was there before.
    /// `None` if it cannot take as many.
    #[inline(always)]
    pub fn reset(&mut self, len: usize) -> Option<&mut [u8]> {
        if len > CAPACITY {
            return None;
        }
        (self.start, self.end) = (HEADROOM, HEADROOM + len);
        Some(self.frame_mut())
    }

    /// The frame.
    #[inline(always)]
    pub fn frame(&self) -> &[u8] {
        self.memory.0.get(self.start..self.end).unwrap_or(&[])
    }

    /// The frame, to be written.
    #[inline(always)]
    pub fn frame_mut(&mut self) -> &mut [u8] {
        self.memory
            .0
            .get_mut(self.start..self.end)
            .unwrap_or(&mut [])
    }

    /// Adds `len` bytes in front, an even number; false if there is no room.
    #[inline(always)]
    pub fn grow(&mut self, len: usize) -> bool {
        match self.start.checked_sub(len) {
            Some(start) if len.is_multiple_of(2) => {
                self.start = start;
                true
            }
            _ => false,
        }
    }

    /// Takes `len` bytes off the front, an even number; false if there are not as many.
    #[inline(always)]
    pub fn strip(&mut self, len: usize) -> bool {
        if len.is_multiple_of(2) && self.start + len <= self.end {
            self.start += len;
            true
        } else {
            false
        }
    }
}

/// The datapath's side of a port.
pub struct RingPort {
    /// Frames that arrive.
    pub rx: Consumer<Buffer>,
    /// Frames that leave.
    pub tx: Producer<Buffer>,
    /// Buffers of frames that ended here, back to their owner.
    pub free: Producer<Buffer>,
}

/// The tester's side of a port.
pub struct TesterPort {
    /// Frames towards the datapath.
    pub tx: Producer<Buffer>,
    /// Frames from the datapath.
    pub rx: Consumer<Buffer>,
    /// Buffers of frames that ended in the datapath.
    pub freed: Consumer<Buffer>,
}

/// A port with room for `capacity` frames in each direction, like the descriptors of a network card.
pub fn port(capacity: usize) -> (RingPort, TesterPort) {
    let (to_datapath, rx) = RingBuffer::new(capacity);
    let (tx, from_datapath) = RingBuffer::new(capacity);
    // Every buffer in flight may end in the datapath.
    let (free, freed) = RingBuffer::new(4 * capacity);
    (
        RingPort { rx, tx, free },
        TesterPort {
            tx: to_datapath,
            rx: from_datapath,
            freed,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_grows_and_shrinks_at_the_front() {
        let mut buffer = Buffer::new();
        buffer.reset(4).unwrap().copy_from_slice(b"abcd");
        assert!(buffer.grow(114));
        assert_eq!(buffer.frame().len(), 118);
        assert!(buffer.strip(116));
        assert_eq!(buffer.frame(), b"cd");
        assert!(!buffer.strip(4));
        assert!(!buffer.grow(HEADROOM + 118));
        assert!(buffer.reset(CAPACITY + 1).is_none());
    }
}
