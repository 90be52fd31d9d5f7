//! A frame as named fields, and the difference of two frames in words.
//!
//! Meant for people who look for a datapath's mistake, so it takes any bytes: a header that is cut off
//! becomes one field of that name, and what has no layout here becomes the payload.

use super::layout::{self, Piece};
use mizar_wire::geneve::Layout;
use std::ops::Range;

/// Where the fields of a Geneve packet are looked for.
const GENEVE_PORT: u64 = 6081;
const ETHERNET_IN_GENEVE: u64 = 0x6558;
const IPV4: u64 = 0x0800;
const ARP: u64 = 0x0806;

const CUT_OFF: &str = "cut off";

/// A frame as named fields, in the order in which they lie.
///
/// Names have the form `outer ipv4 ttl`. Headers of a frame that is not encapsulated (a Geneve packet is
/// known by its UDP port) have neither `outer` nor `inner` in front.
pub fn fields(frame: &[u8]) -> Vec<(String, String)> {
    dissect(frame)
        .iter()
        .map(|field| (field.full_name(), field.text(frame)))
        .collect()
}

/// How `actual` differs from `expected`, a line a field, such as `outer ipv4 ttl: expected 63, got 64`.
/// There is no line if, and only if, the frames are equal.
pub fn difference(expected: &[u8], actual: &[u8]) -> Vec<String> {
    let wanted = dissect(expected);
    if expected.len() == actual.len() {
        // The fields lie where they are expected, whatever the frame claims to be.
        return wanted
            .iter()
            .filter_map(|field| field.differs(expected, actual.get(field.bytes.clone())?))
            .collect();
    }
    let mut lines = vec![format!(
        "length: expected {} bytes, got {}",
        expected.len(),
        actual.len()
    )];
    let found = dissect(actual);
    let mut headers: Vec<(&str, &str)> = Vec::new();
    for field in &wanted {
        match found.iter().find(|other| other.key() == field.key()) {
            Some(other) => {
                lines.extend(
                    actual
                        .get(other.bytes.clone())
                        .and_then(|bytes| field.differs(expected, bytes)),
                );
            }
            None if headers.contains(&field.group()) => {}
            None => {
                headers.push(field.group());
                lines.push(field.missing_from(&found));
            }
        }
    }
    for field in &found {
        let is_known = wanted.iter().any(|other| other.group() == field.group());
        if !is_known && !headers.contains(&field.group()) {
            headers.push(field.group());
            lines.push(format!("{}: not expected", field.group_name()));
        }
    }
    lines
}

/// A field of a frame.
struct Field {
    layer: &'static str,
    header: &'static str,
    name: &'static str,
    bytes: Range<usize>,
    show: fn(&[u8]) -> String,
    /// Whether the bytes have no layout of their own.
    is_blob: bool,
}

impl Field {
    fn key(&self) -> (&str, &str, &str) {
        (self.layer, self.header, self.name)
    }

    fn group(&self) -> (&'static str, &'static str) {
        (self.layer, self.header)
    }

    fn group_name(&self) -> String {
        format!("{}{}", self.layer, self.header)
    }

    fn full_name(&self) -> String {
        match self.name {
            "" => self.group_name(),
            name => format!("{}{} {name}", self.layer, self.header),
        }
    }

    fn text(&self, frame: &[u8]) -> String {
        (self.show)(frame.get(self.bytes.clone()).unwrap_or_default())
    }

    /// A line that says how `actual`, the same field of another frame, differs.
    fn differs(&self, frame: &[u8], actual: &[u8]) -> Option<String> {
        let expected = frame.get(self.bytes.clone()).unwrap_or_default();
        if expected == actual {
            return None;
        }
        let (name, show) = (self.full_name(), self.show);
        let (wanted, got) = (show(expected), show(actual));
        if !self.is_blob {
            return Some(format!("{name}: expected {wanted}, got {got}"));
        }
        let first = expected.iter().zip(actual).position(|(a, b)| a != b);
        let place = match first {
            Some(at) => format!("from byte {at} of it on"),
            None => "by its length".to_owned(),
        };
        Some(format!(
            "{name}: differs {place}: expected {wanted}, got {got}"
        ))
    }

    fn missing_from(&self, found: &[Self]) -> String {
        let is_there = found.iter().any(|other| other.group() == self.group());
        let what = if is_there {
            "differs in form"
        } else {
            "expected, but not there"
        };
        format!("{}: {what}", self.group_name())
    }
}

/// Goes through a frame from front to back.
struct Walk<'a> {
    frame: &'a [u8],
    at: usize,
    layer: &'static str,
    fields: Vec<Field>,
}

fn dissect(frame: &[u8]) -> Vec<Field> {
    let layer = if is_geneve(frame) { "outer " } else { "" };
    let mut walk = Walk {
        frame,
        at: 0,
        layer,
        fields: Vec::new(),
    };
    // Nothing means that a header was cut off, and with it the frame ended.
    let _ = walk.ethernet();
    walk.blob("", "payload", "", walk.rest());
    walk.fields
}

/// Whether the frame is UDP over IPv4 to Geneve's port.
fn is_geneve(frame: &[u8]) -> bool {
    let number = |at: usize, len: usize| frame.get(at..at + len).map(layout::number);
    let header_len = match number(14, 1) {
        Some(version_ihl) if version_ihl >> 4 == 4 => ((version_ihl & 0x0f) as usize).max(5) * 4,
        _ => return false,
    };
    let is_later_fragment = number(20, 2).is_none_or(|flags| flags & 0x1fff != 0);
    number(12, 2) == Some(IPV4)
        && number(23, 1) == Some(17)
        && !is_later_fragment
        && number(14 + header_len + 2, 2) == Some(GENEVE_PORT)
}

impl<'a> Walk<'a> {
    fn rest(&self) -> usize {
        self.frame.len().saturating_sub(self.at)
    }

    /// Takes `len` bytes as one field, if that is any.
    fn blob(&mut self, layer: &'static str, header: &'static str, name: &'static str, len: usize) {
        if len == 0 {
            return;
        }
        let bytes = self.at..self.at + len;
        self.at = bytes.end;
        self.fields.push(Field {
            layer,
            header,
            name,
            bytes,
            show: layout::blob,
            is_blob: true,
        });
    }

    /// Takes a header and hands out its bytes; if it is cut off, the rest of the frame is one field.
    fn header(&mut self, header: &'static str, pieces: &[Piece]) -> Option<&'a [u8]> {
        let start = self.at;
        let end = start + layout::len(pieces);
        let Some(bytes) = self.frame.get(start..end) else {
            self.blob(self.layer, header, CUT_OFF, self.rest());
            return None;
        };
        for piece in pieces {
            let bytes = self.at..self.at + piece.len;
            self.at = bytes.end;
            self.fields.push(Field {
                layer: self.layer,
                header,
                name: piece.name,
                bytes,
                show: piece.show,
                is_blob: false,
            });
        }
        Some(bytes)
    }

    /// Takes the options behind a header that says to be `len` bytes long and was `taken`.
    fn options(&mut self, header: &'static str, len: usize, taken: usize) {
        let options = len.saturating_sub(taken).min(self.rest());
        self.blob(self.layer, header, "options", options);
    }

    fn ethernet(&mut self) -> Option<()> {
        let header = self.header("ethernet", layout::ETHERNET)?;
        match layout::number(header.get(12..14)?) {
            IPV4 => self.ipv4(),
            ARP => self.header("arp", layout::ARP).map(|_| ()),
            _ => Some(()),
        }
    }

    fn ipv4(&mut self) -> Option<()> {
        let header = self.header("ipv4", layout::IPV4)?;
        let len = usize::from(header.first()? & 0x0f) * 4;
        self.options("ipv4", len, header.len());
        let is_later_fragment = layout::number(header.get(6..8)?) & 0x1fff != 0;
        match header.get(9)? {
            _ if is_later_fragment => Some(()),
            1 => self.header("icmp", layout::ICMP).map(|_| ()),
            6 => self.tcp(),
            17 => self.udp(),
            _ => Some(()),
        }
    }

    fn tcp(&mut self) -> Option<()> {
        let header = self.header("tcp", layout::TCP)?;
        let len = usize::from(header.get(12)? >> 4) * 4;
        self.options("tcp", len, header.len());
        Some(())
    }

    fn udp(&mut self) -> Option<()> {
        let header = self.header("udp", layout::UDP)?;
        let is_geneve = layout::number(header.get(2..4)?) == GENEVE_PORT;
        if is_geneve && self.layer == "outer " {
            self.geneve()
        } else {
            Some(())
        }
    }

    fn geneve(&mut self) -> Option<()> {
        self.layer = "";
        let header = self.header("geneve", layout::GENEVE)?;
        let words = header.first()? & 0x3f;
        let options_end = self.at + usize::from(words) * 4;
        let options = match Layout::of_length(words) {
            Layout::Full => &layout::OPTIONS[..],
            Layout::Short => &layout::SHORT_OPTIONS[..],
        };
        for &(name, pieces) in options {
            if self.at + layout::len(pieces) > options_end {
                break;
            }
            self.header(name, pieces)?;
        }
        let others = options_end.saturating_sub(self.at).min(self.rest());
        self.blob("", "geneve", "other options", others);
        if layout::number(header.get(2..4)?) != ETHERNET_IN_GENEVE {
            return Some(());
        }
        self.layer = "inner ";
        self.ethernet()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::corpus::corpus;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use topologies::catalogue;
    use topologies::frame::FrameLen;
    use topologies::topology::Parameters;

    fn encapsulated() -> Vec<u8> {
        let topology = catalogue::find("hop", Parameters::default()).unwrap();
        topology.traffic()[0].frame(0, FrameLen::MIN)
    }

    #[test]
    fn an_encapsulated_frame_has_every_header() {
        let fields = fields(&encapsulated());
        let value = |name: &str| {
            let found = fields.iter().find(|(known, _)| known == name);
            found.map_or("not there", |(_, value)| value.as_str())
        };
        for (name, expected) in [
            ("outer ethernet dst", "02:00:ac:10:00:03"),
            ("outer ethernet type", "ipv4"),
            ("outer ipv4 ttl", "64"),
            ("outer ipv4 protocol", "udp"),
            ("outer udp dst", "6081"),
            ("geneve vni", "4096"),
            ("rts host", "172.16.0.1"),
            ("scaled endpoint message", "0x00"),
            ("pod label", "0"),
            ("inner ethernet dst", "02:00:0a:04:00:00"),
            ("inner ipv4 src", "10.0.0.2"),
            ("inner udp dst", "7"),
            ("payload", "18 bytes, digest fb5a8b4a"),
        ] {
            assert_eq!(value(name), expected, "{name}");
        }
    }

    #[test]
    fn a_plain_frame_has_neither_outer_nor_inner_headers() {
        let topology = catalogue::find("encap", Parameters::default()).unwrap();
        let frame = topology.traffic()[0].frame(0, FrameLen::MIN);
        assert!(
            fields(&frame)
                .iter()
                .all(|(name, _)| !name.starts_with("outer") && !name.starts_with("inner"))
        );
    }

    #[test]
    fn differences_name_the_field() {
        let expected = encapsulated();
        let mut actual = expected.clone();
        actual[22] = 63;
        actual[55] ^= 0x80;
        *actual.last_mut().unwrap() ^= 1;
        assert_eq!(
            difference(&expected, &actual),
            [
                "outer ipv4 ttl: expected 64, got 63",
                "rts host: expected 172.16.0.1, got 44.16.0.1",
                "payload: differs from byte 17 of it on: expected 18 bytes, digest fb5a8b4a, \
                 got 18 bytes, digest fc5a8cdd",
            ]
        );
    }

    #[test]
    fn a_missing_header_is_one_line() {
        let expected = encapsulated();
        assert_eq!(
            difference(&expected, &expected[..40]),
            [
                "length: expected 174 bytes, got 40",
                "outer udp: differs in form",
                "geneve: expected, but not there",
                "rts: expected, but not there",
                "scaled endpoint: expected, but not there",
                "pod: expected, but not there",
                "namespace: expected, but not there",
                "inner ethernet: expected, but not there",
                "inner ipv4: expected, but not there",
                "inner udp: expected, but not there",
                "payload: expected, but not there",
            ]
        );
        let inner = difference(&expected, &expected[114..]);
        assert!(inner.contains(&"outer ethernet: expected, but not there".to_owned()));
        assert!(inner.contains(&"ethernet: not expected".to_owned()));
    }

    fn tiles(frame: &[u8]) {
        let mut end = 0;
        for field in dissect(frame) {
            assert_eq!(field.bytes.start, end, "{}", field.full_name());
            assert!(!field.bytes.is_empty(), "{}", field.full_name());
            end = field.bytes.end;
        }
        assert_eq!(end, frame.len());
        assert!(difference(frame, frame).is_empty());
    }

    #[test]
    fn frames_of_a_corpus_are_taken_apart_completely() {
        for entry in catalogue::ENTRIES {
            let topology = entry.load(Parameters::default()).unwrap();
            let cases = corpus(&topology, topology.under_test().unwrap().host, 1);
            for case in &cases {
                tiles(&case.frame);
            }
            for pair in cases.windows(2) {
                let (first, second) = (&pair[0].frame, &pair[1].frame);
                assert_eq!(difference(first, second).is_empty(), first == second);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_apart_completely(frame in vec(any::<u8>(), 0..200)) {
            tiles(&frame);
        }

        #[test]
        fn so_are_cut_and_damaged_frames(
            len in 0_usize..=174,
            damage in vec((any::<Index>(), any::<u8>()), 0..4),
        ) {
            let mut frame = encapsulated();
            for (at, value) in damage {
                let at = at.index(frame.len());
                frame[at] = value;
            }
            frame.truncate(len);
            tiles(&frame);
            difference(&frame, &encapsulated());
            difference(&encapsulated(), &frame);
        }

        #[test]
        fn one_changed_byte_is_one_line(at in 0_usize..174, bits in 1_u8..) {
            let mut changed = encapsulated();
            changed[at] ^= bits;
            prop_assert_eq!(difference(&encapsulated(), &changed).len(), 1);
            prop_assert_eq!(difference(&changed, &encapsulated()).len(), 1);
        }
    }
}
