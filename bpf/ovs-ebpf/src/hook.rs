//! Where in the kernel the datapath is hooked in: what tc and XDP do differently.

use crate::maps::{DEVICE, PORT};
use aya_ebpf::bindings::TC_ACT_SHOT;
use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP};
use aya_ebpf::helpers::{
    bpf_clone_redirect, bpf_redirect, bpf_skb_adjust_room, bpf_skb_change_head, bpf_skb_load_bytes,
    bpf_skb_pull_data, bpf_xdp_adjust_head, bpf_xdp_load_bytes,
};
use aya_ebpf::programs::{TcContext, XdpContext};
use bpf_frame::Packet;
use core::ffi::c_void;
use mizar_wire::frame::Frame;
use mizar_wire::{Be16, ethernet};

/// Bytes of a frame that must be seen: outer headers with a key's options, and inner ones.
const SEEN: u32 = 256;
/// `BPF_ADJ_ROOM_MAC` of include/uapi/linux/bpf.h.
const AFTER_ETHERNET: u32 = 1;

/// A VLAN tag, as it is in a frame (IEEE 802.1Q).
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Tag {
    /// What takes the place of the EtherType.
    pub kind: Be16,
    control: Be16,
}

/// A frame at a hook.
pub trait Hook {
    /// What says that a frame is dropped.
    const DROP: i32;

    /// Index of the device that it came by.
    fn device(&self) -> u32;
    /// Sees to it that headers can be seen.
    fn prepare(&self);
    fn packet(&self) -> Packet;
    fn len(&self) -> u32;
    /// Makes room for `len` bytes in front.
    fn push(&self, len: u32) -> bool;
    /// Takes `len` bytes from the front.
    fn strip(&self, len: u32) -> bool;
    /// Sends it out of a port; what says so.
    fn send(&self, port: u32) -> Option<i32>;
    /// Sends a copy of it out of a port.
    fn send_copy(&self, port: u32) -> bool;
    /// The VLAN tag, if the kernel took it off the frame.
    fn tag(&self) -> Option<Tag>;
    /// Copies `len` bytes from `at` on to where there is room for them.
    ///
    /// # Safety
    /// There is room for as many.
    unsafe fn copy(&self, at: u32, to: *mut u8, len: u32) -> bool;
}

impl Hook for TcContext {
    const DROP: i32 = TC_ACT_SHOT as i32;

    #[inline(always)]
    fn device(&self) -> u32 {
        // SAFETY: the kernel passes a valid context.
        unsafe { (*self.skb.skb).ifindex }
    }

    #[inline(always)]
    fn prepare(&self) {
        let seen = (self.data_end() - self.data()) as u32;
        if seen < SEEN && seen < self.len() {
            // If it fails, headers are taken for what is not there.
            // SAFETY: a valid context; no pointer into the frame is held.
            let _ = unsafe { bpf_skb_pull_data(self.skb.skb, self.len().min(SEEN)) };
        }
    }

    #[inline(always)]
    fn packet(&self) -> Packet {
        // SAFETY: a context's; every change of the frame's bounds is followed by a new one.
        unsafe { Packet::new(self.data(), self.data_end()) }.of_len(self.len() as usize)
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        // SAFETY: the kernel passes a valid context.
        unsafe { (*self.skb.skb).len }
    }

    #[inline(always)]
    fn push(&self, len: u32) -> bool {
        // SAFETY: a valid context; no pointer into the frame is held.
        unsafe { bpf_skb_change_head(self.skb.skb, len, 0) == 0 }
    }

    /// The kernel takes bytes from behind the Ethernet header alone: that of the inner frame takes the outer one's place.
    #[inline(always)]
    fn strip(&self, len: u32) -> bool {
        let Some(inner) = self.packet().get::<ethernet::Header>(len as usize).copied() else {
            return false;
        };
        // SAFETY: a valid context; no pointer into the frame is held.
        let result = unsafe { bpf_skb_adjust_room(self.skb.skb, -(len as i32), AFTER_ETHERNET, 0) };
        if result != 0 {
            return false;
        }
        match self.packet().get_mut::<ethernet::Header>(0) {
            Some(header) => {
                *header = inner;
                true
            }
            None => false,
        }
    }

    #[inline(always)]
    fn send(&self, port: u32) -> Option<i32> {
        let device = PORT.get(port)?.device;
        // SAFETY: takes numbers.
        (device != 0).then(|| unsafe { bpf_redirect(device, 0) } as i32)
    }

    #[inline(always)]
    fn send_copy(&self, port: u32) -> bool {
        let Some(port) = PORT.get(port) else {
            return false;
        };
        // SAFETY: a valid context; no pointer into the frame is held.
        port.device != 0 && unsafe { bpf_clone_redirect(self.skb.skb, port.device, 0) == 0 }
    }

    #[inline(always)]
    fn tag(&self) -> Option<Tag> {
        // SAFETY: the kernel passes a valid context.
        let (is_there, kind, control) = unsafe {
            let skb = self.skb.skb;
            ((*skb).vlan_present, (*skb).vlan_proto, (*skb).vlan_tci)
        };
        (is_there != 0).then(|| Tag {
            // In transmission order already: `__sk_buff` has it as the frame had.
            kind: Be16::from_raw(kind as u16),
            control: Be16::new(control as u16),
        })
    }

    #[inline(always)]
    unsafe fn copy(&self, at: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: a valid context, and room, as the caller says.
        unsafe { bpf_skb_load_bytes(self.skb.skb.cast::<c_void>(), at, to.cast(), len) == 0 }
    }
}

impl Hook for XdpContext {
    const DROP: i32 = XDP_DROP as i32;

    #[inline(always)]
    fn device(&self) -> u32 {
        // SAFETY: the kernel passes a valid context.
        unsafe { (*self.ctx).ingress_ifindex }
    }

    #[inline(always)]
    fn prepare(&self) {}

    #[inline(always)]
    fn packet(&self) -> Packet {
        // SAFETY: a context's; every change of the frame's bounds is followed by a new one.
        unsafe { Packet::new(self.data(), self.data_end()) }
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        (self.data_end() - self.data()) as u32
    }

    #[inline(always)]
    fn push(&self, len: u32) -> bool {
        // SAFETY: a valid context; no pointer into the frame is held.
        unsafe { bpf_xdp_adjust_head(self.ctx, -(len as i32)) == 0 }
    }

    #[inline(always)]
    fn strip(&self, len: u32) -> bool {
        // SAFETY: a valid context; no pointer into the frame is held.
        unsafe { bpf_xdp_adjust_head(self.ctx, len as i32) == 0 }
    }

    #[inline(always)]
    fn send(&self, port: u32) -> Option<i32> {
        Some(DEVICE.redirect(port, 0).unwrap_or(XDP_ABORTED) as i32)
    }

    /// There are no copies at this hook.
    #[inline(always)]
    fn send_copy(&self, _: u32) -> bool {
        false
    }

    #[inline(always)]
    fn tag(&self) -> Option<Tag> {
        None
    }

    #[inline(always)]
    unsafe fn copy(&self, at: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: a valid context, and room, as the caller says.
        unsafe { bpf_xdp_load_bytes(self.ctx, at, to.cast(), len) == 0 }
    }
}
