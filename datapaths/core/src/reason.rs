//! Why a frame was refused.

/// What a refused frame counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The frame is well-formed and has no place to go.
    Drop,
    /// The frame is malformed, or policy forbids it; in XDP this also raises a trace event.
    Abort,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal => $refusal:ident,)+) => {
        /// Why a frame was refused. Datapaths count frames by reason.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason, in the order of its number.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// How many reasons there are.
            pub const COUNT: usize = Self::ALL.len();

            /// What a frame refused for this reason counts as.
            #[inline(always)]
            pub const fn refusal(self) -> Refusal {
                match self {
                    $(Self::$name => Refusal::$refusal,)+
                }
            }

            /// The reason in words.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

reasons! {
    /// The Ethernet header of the frame is cut off.
    TruncatedEthernet = "Ethernet header cut off" => Abort,
    /// The outer IPv4 header is cut off.
    TruncatedOuterIp = "outer IPv4 header cut off" => Abort,
    /// The outer UDP header is cut off.
    TruncatedOuterUdp = "outer UDP header cut off" => Abort,
    /// The Geneve header is cut off.
    TruncatedGeneve = "Geneve header cut off" => Abort,
    /// The Geneve options are cut off, or too short for the two that every packet carries.
    TruncatedOptions = "Geneve options cut off" => Abort,
    /// An option is not of Mizar's class.
    OptionClass = "Geneve option of a foreign class" => Abort,
    /// The options that carry labels are missing or of another type.
    LabelOption = "Geneve label option missing" => Abort,
    /// The inner Ethernet header is cut off.
    TruncatedInnerEthernet = "inner Ethernet header cut off" => Abort,
    /// The inner IPv4 header is cut off.
    TruncatedInnerIp = "inner IPv4 header cut off" => Abort,
    /// The inner IPv4 header has a wrong version or length.
    MalformedInnerIp = "inner IPv4 header malformed" => Abort,
    /// The inner TCP or UDP header is cut off.
    TruncatedTransport = "inner TCP or UDP header cut off" => Abort,
    /// The inner ARP message is cut off.
    TruncatedArp = "inner ARP message cut off" => Abort,
    /// The inner frame is neither IPv4 nor ARP.
    UnsupportedProtocol = "inner frame neither IPv4 nor ARP" => Drop,
    /// The ARP message is not a request or reply for IPv4 over Ethernet.
    UnsupportedArp = "unsupported ARP message" => Drop,
    /// Egress policy denies the flow.
    EgressDenied = "denied by egress policy" => Abort,
    /// The packet replies to a flow that ingress policy denies.
    EgressReplyDenied = "reply to a denied flow (egress)" => Abort,
    /// Ingress policy denies the flow.
    IngressDenied = "denied by ingress policy" => Abort,
    /// The packet replies to a flow that egress policy denies.
    IngressReplyDenied = "reply to a denied flow (ingress)" => Abort,
    /// The access list of the destination's network denies the packet.
    AclDenied = "denied by the network's access list" => Abort,
    /// The packet claims to come from where the port hosts no endpoint, in a VPC with access lists.
    ForeignSource = "source not hosted at the port" => Abort,
    /// The outer destination address is another droplet's.
    OtherDroplet = "addressed to another droplet" => Drop,
    /// The outer time to live arrived as zero.
    TtlZero = "outer TTL zero" => Drop,
    /// The outer time to live would reach zero.
    TtlExpired = "outer TTL expired" => Drop,
    /// The network has no bouncer.
    NoBouncer = "network without bouncers" => Drop,
    /// The VPC has no divider.
    NoDivider = "VPC without dividers" => Drop,
    /// The VPC is not known here.
    UnknownVpc = "unknown VPC" => Drop,
    /// The Ethernet address of the next droplet is not known.
    UnknownDroplet = "Ethernet address of the next droplet unknown" => Drop,
    /// The endpoint is known, but not where it is hosted.
    EndpointWithoutHost = "endpoint without host" => Drop,
    /// The scaled endpoint has no backend.
    NoBackend = "scaled endpoint without backends" => Drop,
    /// A scaled endpoint takes TCP, UDP and ICMP only, and no other scaled endpoint behind it.
    ScaledUnsupported = "unsupported by a scaled endpoint" => Drop,
    /// The encapsulated packet would be longer than 65,535 bytes.
    TooLong = "too long to encapsulate" => Drop,
    /// The frame entered by a port that no endpoint is attached to.
    NotAttached = "no endpoint attached to the port" => Drop,
    /// The endpoint is of a network that this droplet bounces for, and is not known.
    Nowhere = "endpoint unknown to its bouncer" => Drop,
    /// The packet came back from a host that does not have its endpoint, and this droplet did not send it.
    NotSentHere = "came back to a droplet that did not send it" => Drop,
    /// A short header from this very droplet, which sends itself none.
    ShortHeader = "short header from this very droplet" => Drop,
    /// The datapath could not make room for, or strip, the outer headers.
    NoRoom = "no room for outer headers" => Drop,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_index_all_reasons() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }
}
