//! Messages of DNS (RFC 1035) as mDNS uses them (RFC 6762, section 18): from bytes, and to bytes
//! that fit a datagram.

use simple_dns::{Name, Packet, PacketFlag, Question, ResourceRecord, header_buffer};

/// A record that borrows nothing.
pub(crate) type Record = ResourceRecord<'static>;

/// A question that borrows nothing.
pub(crate) type Asked = Question<'static>;

/// What is sent is no longer, so that it fits a frame of Ethernet with the headers of IPv6
/// (RFC 6762, section 17). One record alone may be.
const MESSAGE_BYTES_MAX: usize = 1440;

/// What arrives is no longer (RFC 6762, section 17).
const RECEIVED_BYTES_MAX: usize = 9000;

/// So many questions and records of a message that arrives are read; one with more is dropped.
const ENTRIES_MAX: usize = 512;

/// Reads a message; none where it isn't one, or is beyond the limits, or an error.
pub(crate) fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
    if bytes.len() > RECEIVED_BYTES_MAX {
        return None;
    }
    // Room is made for what the header promises, so it is looked at before.
    let counts = [
        header_buffer::questions(bytes).ok()?,
        header_buffer::answers(bytes).ok()?,
        header_buffer::name_servers(bytes).ok()?,
        header_buffer::additional_records(bytes).ok()?,
    ];
    if counts.iter().map(|count| usize::from(*count)).sum::<usize>() > ENTRIES_MAX {
        return None;
    }
    let packet = Packet::parse(bytes).ok()?;
    // RFC 6762, sections 18.3 and 18.11: others are ignored.
    let is_plain = packet.opcode() == simple_dns::OPCODE::StandardQuery
        && packet.rcode() == simple_dns::RCODE::NoError;
    is_plain.then_some(packet)
}

/// Answers that nobody's question is repeated in: in as many messages as they need.
pub(crate) fn response(answers: &[Record], additional: &[Record]) -> Vec<Vec<u8>> {
    let mut packet = Packet::new_reply(0);
    packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    packet.answers = answers.to_vec();
    packet.additional_records = additional.to_vec();
    match build(&packet) {
        Some(bytes) if bytes.len() <= MESSAGE_BYTES_MAX => vec![bytes],
        // What nobody has asked for is the first to go.
        Some(_) if !additional.is_empty() => response(answers, &[]),
        Some(_) if answers.len() > 1 => {
            let (front, back) = answers.split_at(answers.len() / 2);
            let mut all = response(front, &[]);
            all.extend(response(back, &[]));
            all
        }
        Some(bytes) => vec![bytes],
        None => Vec::new(),
    }
}

/// The answer to one who asked as DNS does, from a port of its own (RFC 6762, section 6.7).
pub(crate) fn legacy_response(query: &Packet<'_>, answers: &[Record]) -> Option<Vec<u8>> {
    let mut packet = Packet::new_reply(query.id());
    packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    packet.questions = query.questions.iter().take(1).cloned().map(Question::into_owned).collect();
    for question in &mut packet.questions {
        question.unicast_response = false;
    }
    packet.answers = answers.to_vec();
    // Names in the data of a service aren't compressed for them (RFC 2782).
    let mut bytes = packet.build_bytes_vec().ok()?;
    while bytes.len() > MESSAGE_BYTES_MAX && packet.answers.pop().is_some() {
        packet.set_flags(PacketFlag::TRUNCATION);
        bytes = packet.build_bytes_vec().ok()?;
    }
    Some(bytes)
}

/// Questions, with what is known already (RFC 6762, section 7): in as many messages as they need.
pub(crate) fn query(questions: &[Asked], known: &[Record]) -> Vec<Vec<u8>> {
    let mut packet = Packet::new_query(0);
    packet.questions = questions.to_vec();
    packet.answers = known.to_vec();
    match build(&packet) {
        Some(bytes) if bytes.len() <= MESSAGE_BYTES_MAX => vec![bytes],
        Some(_) if known.len() > 1 => {
            let (front, back) = known.split_at(known.len() / 2);
            let mut all = query(questions, front);
            // More of what is known follows, says the truncation bit (section 7.2).
            all.iter_mut().for_each(|bytes| bytes[2] |= 0x02);
            all.extend(query(&[], back));
            all
        }
        Some(_) if questions.len() > 1 => {
            let (front, back) = questions.split_at(questions.len() / 2);
            let mut all = query(front, known);
            all.extend(query(back, &[]));
            all
        }
        Some(bytes) => vec![bytes],
        None => Vec::new(),
    }
}

/// A probe for a name (RFC 6762, section 8.1), with the records that are to be its.
pub(crate) fn probe(question: Asked, proposed: &[Record]) -> Vec<Vec<u8>> {
    let mut packet = Packet::new_query(0);
    packet.questions.push(question);
    packet.name_servers = proposed.to_vec();
    build(&packet).into_iter().collect()
}

/// None where a record can't be written, as one whose text is too long.
fn build(packet: &Packet<'_>) -> Option<Vec<u8>> {
    packet.build_bytes_vec_compressed().ok()
}

/// The data of a record as it is compared (RFC 6762, section 8.2): no name in it is compressed.
pub(crate) fn raw_data(record: &ResourceRecord<'_>) -> Vec<u8> {
    /// Of the header, the root's name, and what stands before the data.
    const BEFORE: usize = 12 + 1 + 10;
    let mut packet = Packet::new_reply(0);
    let root = Name::new_with_labels(&[]);
    packet.answers.push(ResourceRecord::new(root, record.class, 0, record.rdata.clone()));
    let bytes = packet.build_bytes_vec().unwrap_or_default();
    bytes.get(BEFORE..).unwrap_or_default().to_vec()
}

/// The number of a record's type.
pub(crate) fn type_of(record: &ResourceRecord<'_>) -> u16 {
    record.rdata.type_code().into()
}
