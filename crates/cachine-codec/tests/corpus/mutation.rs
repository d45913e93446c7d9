//! Inputs that are nearly right: the same ones every time, from a number.

/// Values that lie about lengths.
const LENGTHS: [u64; 8] = [0, 1, 0x7F, 0xFFFF, 1 << 26, (1 << 26) + 1, 1 << 63, u64::MAX];

/// A source of choices (SplitMix64).
pub(crate) struct Mutation(u64);

impl Mutation {
    pub(crate) fn new(number: u64) -> Self {
        Self(number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is above 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// One of the inputs, changed in one to four places.
    pub(crate) fn of(mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let at = self.below(inputs.len());
        let mut input = inputs[at].clone();
        for _ in 0..=self.below(4) {
            self.change(&mut input, inputs);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        match self.below(7) {
            // A flipped bit; where there is none, a byte more.
            0 | 1 => match input.get_mut(at) {
                Some(byte) => *byte ^= 1 << self.below(8),
                None => input.push(self.next().to_le_bytes()[0]),
            },
            2 => input.truncate(at),
            3 => input.insert(at, self.next().to_le_bytes()[0]),
            4 => drop(input.drain(at..(at + self.below(9)).min(input.len()))),
            // A length.
            5 => {
                let length = LENGTHS[self.below(LENGTHS.len())].to_be_bytes();
                let end = (at + 8).min(input.len());
                input[at..end].copy_from_slice(&length[8 - (end - at)..]);
            }
            // The end of another one.
            _ => {
                let other = &inputs[self.below(inputs.len())];
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
}
