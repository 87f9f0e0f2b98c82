//! Packets that are nearly valid, as a bad line, a broken device or a villain sends them. The same dice make
//! the same bytes.

use crate::dice::Dice;

/// Faults in one packet, at most.
const FAULTS: usize = 3;

/// Puts one to three faults into `packet`: flipped bits, a cut, a piece of `other` put in, a lie about the
/// length.
pub fn spoil(packet: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    for _ in 0..=dice.below(FAULTS) {
        if packet.is_empty() {
            return;
        }
        let at = dice.below(packet.len());
        match dice.below(5) {
            0 => packet[at] ^= 1 << dice.below(8),
            1 => packet[at] = byte(dice),
            2 => packet.truncate(at),
            3 => {
                let from = dice.below(other.len().max(1)).min(other.len());
                packet.splice(at..at, other[from..].iter().copied());
            }
            _ => {
                // The length's first byte.
                if let Some(length) = packet.get_mut(1) {
                    *length = byte(dice);
                }
            }
        }
    }
}

fn byte(dice: &mut Dice) -> u8 {
    u8::try_from(dice.below(256)).expect("it is below 256")
}
