//! What the pipeline calls its tables, priorities, registers and cookies.

/// The tables of the overlay bridge.
pub mod table {
    use crate::flow::Table;
    /// Where every packet begins.
    pub const CLASSIFY: Table = Table(0);
    /// Whether what an endpoint sends comes from where it is, in a VPC with access lists.
    pub const SOURCE: Table = Table(9);
    /// Policy for what an endpoint sends.
    pub const EGRESS: Table = Table(10);
    /// The same, behind connection tracking.
    pub const EGRESS_TRACKED: Table = Table(11);
    /// Policy for what arrives.
    pub const INGRESS: Table = Table(12);
    /// The same, behind connection tracking.
    pub const INGRESS_TRACKED: Table = Table(13);
    /// Policies that allow protocol and port.
    pub const BY_PORT: Table = Table(14);
    /// Policies that name the sender's pod label.
    pub const BY_POD: Table = Table(15);
    /// Policies that name the label of the sender's namespace.
    pub const BY_NAMESPACE: Table = Table(16);
    /// Policies that name both labels.
    pub const BY_BOTH: Table = Table(17);
    /// Policies that name a prefix.
    pub const BY_PREFIX: Table = Table(18);
    /// Policies that name a prefix with exceptions.
    pub const BY_PREFIX_UNLESS: Table = Table(19);
    /// The exceptions.
    pub const EXCEPT: Table = Table(20);
    /// Whether a policy is in all sets that it must be in.
    pub const ALLOWED: Table = Table(21);
    /// Behind what labels allow.
    pub const LABELLED: Table = Table(22);
    /// What becomes of judged packets that an endpoint sends.
    pub const EGRESS_JUDGED: Table = Table(23);
    /// What becomes of judged packets that arrive.
    pub const INGRESS_JUDGED: Table = Table(24);
    /// Which access list what arrives must pass.
    pub const ACL: Table = Table(25);
    /// The rules of access lists.
    pub const ACL_RULES: Table = Table(26);
    /// Behind all judgement of what arrives: whether it came back.
    pub const JUDGED: Table = Table(27);
    /// Behind egress policy: where to.
    pub const AGENT: Table = Table(30);
    /// Out of the tunnel port of the class.
    pub const AGENT_SEND: Table = Table(31);
    /// Answers ARP requests for endpoints that are hosted elsewhere.
    pub const ARP: Table = Table(40);
    /// Endpoints.
    pub const ENDPOINT: Table = Table(41);
    /// Networks and VPCs.
    pub const ROUTE: Table = Table(42);
    /// Writes a host into return-to-sender.
    pub const RETURN_TO: Table = Table(43);
    /// Direct paths.
    pub const DIRECT: Table = Table(50);
    /// Learns one.
    pub const LEARN: Table = Table(51);
    /// Forgets one, if it leads to where a packet came back from.
    pub const FORGET: Table = Table(54);
    /// Passes over a direct path that leads to this very droplet, or was forgotten.
    pub const OWN_PATH: Table = Table(58);
    /// Passes over a bouncer that is this very droplet.
    pub const OWN_BOUNCER: Table = Table(57);
    /// Passes over one that leads to a host that is dead.
    pub const DEAD: Table = Table(56);
    /// Says in return-to-sender whether the packet goes by one.
    pub const SAY_DIRECT: Table = Table(55);
    /// What is for an endpoint that is not known here.
    pub const UNKNOWN: Table = Table(44);
    /// The way onwards of what came back.
    pub const AGAIN: Table = Table(45);
    /// What arrives with the short header gets all options.
    pub const LENGTHEN: Table = Table(46);
    /// What arrived with it, behind all judgement: whether its endpoint is hosted here.
    pub const HOSTED: Table = Table(47);
    /// What goes by a direct path to a host that reads the short header gets it.
    pub const SHORTEN: Table = Table(48);
    /// Picks a member of a group.
    pub const PICK: Table = Table(52);
    /// The member of a group with a number.
    pub const MEMBER: Table = Table(53);
    /// Out of the tunnel port, with every option in its place.
    pub const SEND: Table = Table(60);
    /// Looks at return-to-sender, which is or becomes one of two options.
    pub const LOOK_RETURN: Table = Table(61);
    /// Looks at the scaled-endpoint option.
    pub const LOOK_SCALED: Table = Table(62);
    /// Looks at the pod's label.
    pub const LOOK_POD: Table = Table(63);
    /// Looks at the namespace's label.
    pub const LOOK_NAMESPACE: Table = Table(64);
}

/// Priorities, from the lowest.
pub mod priority {
    use crate::flow::Priority;
    /// What nothing else matches.
    pub const MISS: Priority = Priority(0);
    /// What nothing else of the same judgement matches.
    pub const MISS_OF_STATE: Priority = Priority(50);
    /// The general case.
    pub const GENERAL: Priority = Priority(100);
    /// A case that goes before the general one.
    pub const SPECIAL: Priority = Priority(200);
    /// A case that goes before that.
    pub const FIRST: Priority = Priority(300);
    /// A prefix of `length` bits: longer ones go first.
    pub const fn prefix(length: u8) -> Priority {
        Priority(400 + length as u16)
    }
}

/// What registers hold.
pub mod register {
    use crate::flow::{Field, Slice};
    /// 1 if a packet came by a direct path, 2 if it came back from the end of one, 3 if that was forgotten.
    pub const STATE: Slice = Field::Register(0).slice(18, 2);
    /// 1 if a packet came with the short header.
    pub const CAME_SHORT: Slice = Field::Register(0).slice(20, 1);
    /// Zone of connection tracking.
    pub const ZONE: Slice = Field::Register(0).slice(0, 16);
    /// Overlay address of the source: of IPv4, or ARP's sender.
    pub const SRC: Field = Field::Register(1);
    /// Overlay address of the destination: of IPv4, or ARP's target.
    pub const DST: Field = Field::Register(2);
    /// Number of a group's member.
    pub const MEMBER: Field = Field::Register(3);
    /// Number of an access list, before a member is picked.
    pub const ACL: Field = Field::Register(3);
    /// 1 once the next host is known.
    pub const FOUND: Field = Field::Register(4);
    /// Number of a group.
    pub const GROUP: Field = Field::Register(5);
    /// Type of service of the outer header.
    pub const TOS: Field = Field::Register(6);
    /// 1 if policy allows.
    pub const ALLOWED: Field = Field::Register(7);
    /// Policies by port.
    pub const PORT_POLICIES: Field = Field::Wide(4);
    /// Policies that a packet must have in common with those.
    pub const POLICIES: Field = Field::Wide(5);
    /// Exceptions from the latter.
    pub const EXCEPTIONS: Field = Field::Wide(6);
    /// Underlay address of a host to return to.
    pub const HOST_IP: Field = Field::Register(13);
    /// Its Ethernet address; also that of the host of a direct path, for who reads the table: the switch takes the
    /// one of its own neighbour table.
    pub const HOST_MAC: Slice = Field::Wide(7).slice(0, 48);
    /// Scratch.
    pub const SCRATCH: Field = Field::Wide(5);
}

/// Cookies tell rules apart in counters.
pub mod cookie {
    use crate::flow::Cookie;
    /// Encapsulates what an endpoint sent.
    pub const ENCAPSULATED: Cookie = Cookie(1);
    /// Sends on.
    pub const FORWARDED: Cookie = Cookie(2);
    /// Delivers to an endpoint.
    pub const DELIVERED: Cookie = Cookie(3);
    /// Leaves to the stack.
    pub const PASSED: Cookie = Cookie(4);
    /// Refused by policy.
    pub const DENIED: Cookie = Cookie(5);
    /// A direct path that was there from the start.
    pub const GIVEN_PATH: Cookie = Cookie(6);
    /// Of rules that belong to no program.
    pub const UNCOUNTED: Cookie = Cookie(0xffff);
    /// A direct path that was learned.
    pub const LEARNED_PATH: Cookie = Cookie(7);
}
