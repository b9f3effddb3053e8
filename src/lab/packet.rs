//! One packet as the kernel hands it over: whose it is, how large it is on a wire, and how it looks one router later.
//!
//! Pure. The kernel may leave the cutting of a large piece into segments, and the checksum, to whoever comes last; then a
//! short header before the packet says how, and is given back with it.

use std::net::Ipv4Addr;

/// The length of that header (`struct virtio_net_hdr`).
pub(super) const OFFLOAD: usize = 10;
/// The longest IPv4 packet, and the header before it.
pub(super) const LONGEST: usize = 65_535 + OFFLOAD;

/// How packets come from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One packet of the wire at a time.
    Plain,
    /// Many segments in one, under the header.
    Joined,
}

/// An IPv4 packet with all that is written back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet {
    bytes: Vec<u8>,
    /// Where the packet itself begins.
    start: usize,
}

impl Packet {
    /// None for what is not IPv4.
    pub(super) fn new(bytes: &[u8], form: Form) -> Option<Packet> {
        let start = if form == Form::Joined { OFFLOAD } else { 0 };
        let ours = bytes.len() >= start + 20 && bytes[start] >> 4 == 4;
        ours.then(|| Packet { bytes: bytes.to_vec(), start })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn address(&self, at: usize) -> Ipv4Addr {
        let at = self.start + at;
        Ipv4Addr::new(self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3])
    }

    pub(super) fn source(&self) -> Ipv4Addr {
        self.address(12)
    }

    pub(super) fn target(&self) -> Ipv4Addr {
        self.address(16)
    }

    /// Bytes on a wire, from the IP header on: each segment of a joined packet has headers of its own.
    pub(super) fn size(&self) -> u64 {
        let length = self.bytes.len() - self.start;
        let field = |at: usize| usize::from(u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]));
        let (joined, headers, segment) = match self.start {
            0 => (0, 0, 0),
            _ => (self.bytes[1], field(2), field(4)),
        };
        if joined == 0 || segment == 0 || headers >= length {
            return length as u64;
        }
        let segments = (length - headers).div_ceil(segment);
        (length + (segments - 1) * headers) as u64
    }

    /// Takes back one router: the way through the link has two of them where a plain one has one.
    pub(super) fn rejuvenate(&mut self) {
        let (life, sum) = (self.start + 8, self.start + 10);
        let Some(longer) = self.bytes[life].checked_add(1) else { return };
        self.bytes[life] = longer;
        // As RFC 1624 has it: the word of the life has grown by 0x0100, so its complement has shrunk by that.
        let old = u32::from(u16::from_be_bytes([self.bytes[sum], self.bytes[sum + 1]]));
        let new = old + 0xffff - 0x0100;
        let new = ((new & 0xffff) + (new >> 16)) as u16;
        self.bytes[sum..sum + 2].copy_from_slice(&new.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(header: &[u8]) -> u16 {
        let mut sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    fn ip(life: u8, payload: usize, salt: u16) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, life, 6, 0, 0, 10, 7, 0, 10, 10, 7, 1, 11];
        bytes[4..6].copy_from_slice(&salt.to_be_bytes());
        bytes[2..4].copy_from_slice(&((20 + payload) as u16).to_be_bytes());
        let check = !sum(&bytes);
        bytes[10..12].copy_from_slice(&check.to_be_bytes());
        bytes.resize(20 + payload, 7);
        bytes
    }

    proptest! {
        #[test]
        fn a_longer_life_keeps_the_checksum_right(life in 1u8..255, salt: u16) {
            let mut packet = Packet::new(&ip(life, 30, salt), Form::Plain).unwrap();
            packet.rejuvenate();
            prop_assert_eq!(packet.bytes()[8], life + 1);
            prop_assert_eq!(sum(&packet.bytes()[..20]), 0xffff);
        }

        #[test]
        fn whatever_comes_is_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            for form in [Form::Plain, Form::Joined] {
                if let Some(mut packet) = Packet::new(&bytes, form) {
                    packet.rejuvenate();
                    let _ = (packet.source(), packet.target(), packet.size());
                    prop_assert_eq!(packet.bytes().len(), bytes.len());
                }
            }
        }
    }

    #[test]
    fn the_longest_life_stays() {
        let mut packet = Packet::new(&ip(255, 0, 1), Form::Plain).unwrap();
        packet.rejuvenate();
        assert_eq!(packet.bytes(), ip(255, 0, 1));
    }

    #[test]
    fn what_a_packet_says_of_itself() {
        let packet = Packet::new(&ip(64, 100, 1), Form::Plain).unwrap();
        assert_eq!(
            (packet.source(), packet.target(), packet.size()),
            ([10, 7, 0, 10].into(), [10, 7, 1, 11].into(), 120)
        );
        let mut six = ip(64, 40, 1);
        six[0] = 0x60;
        assert_eq!(Packet::new(&six, Form::Plain), None);
        assert_eq!(Packet::new(&ip(64, 0, 1)[..19], Form::Plain), None);
    }

    #[test]
    fn joined_segments_count_with_their_headers() {
        let check = |kind: u8, headers: u16, segment: u16, payload: usize, size: u64| {
            let mut bytes = vec![1, kind];
            bytes.extend([headers, segment, 20, 16].iter().flat_map(|field| field.to_ne_bytes()));
            bytes.extend(ip(64, payload, 1));
            assert_eq!(Packet::new(&bytes, Form::Joined).unwrap().size(), size);
        };
        check(1, 40, 1460, 20 + 1460 * 3, 1500 * 3);
        check(1, 40, 1460, 20 + 1460 * 2 + 1, 1500 * 2 + 41);
        check(0, 0, 0, 100, 120);
        check(1, 40, 0, 100, 120);
    }
}
