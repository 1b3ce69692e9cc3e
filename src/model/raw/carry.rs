//! Copies attributes of a text as they are.

use super::item::RawItem;
use super::known::Known;
use super::put::comma;
use super::write::write_text;

/// What becomes of an attribute of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carry<'n> {
    /// It is copied.
    Keep,
    /// It is copied under another name.
    Rename(&'n str),
    /// It is left out.
    Leave,
}

impl RawItem {
    /// Copies the attributes of a [plain](Self::is_plain) item into an object in DynamoDB JSON that has some attributes already, or
    /// none, and returns the bytes that DynamoDB charges for them. `each` decides by what is known of the name, and gives up by `None`.
    pub fn carry<'n>(
        &self,
        is_first: bool,
        out: &mut Vec<u8>,
        each: impl Fn(Known) -> Option<Carry<'n>>,
    ) -> Option<usize> {
        let (mut first, mut bytes) = (is_first, 0);
        // Neighbours that are kept are copied together, with what is between them.
        let mut kept: Option<(usize, usize)> = None;
        let text = self.text.as_bytes();
        for one in &self.attributes {
            let carry = each(one.known)?;
            if matches!(carry, Carry::Keep) {
                let start = kept.map_or(one.name.start as usize - 1, |(start, _)| start);
                kept = Some((start, one.value.end as usize));
                bytes += one.name.len() + one.bytes as usize;
                continue;
            }
            copy(text, kept.take(), &mut first, out)?;
            if let Carry::Rename(name) = carry {
                comma(&mut first, out);
                write_text(name, out);
                out.push(b':');
                out.extend_from_slice(one.value_in(&self.text).as_bytes());
                bytes += name.len() + one.bytes as usize;
            }
        }
        copy(text, kept, &mut first, out)?;
        Some(bytes)
    }
}

fn copy(text: &[u8], place: Option<(usize, usize)>, first: &mut bool, out: &mut Vec<u8>) -> Option<()> {
    if let Some((start, end)) = place {
        comma(first, out);
        out.extend_from_slice(text.get(start..end)?);
    }
    Some(())
}
