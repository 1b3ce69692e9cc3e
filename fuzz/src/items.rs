use crate::model::{Item, Number, Value};

/// Bytes that decide what an arbitrary item holds; when they end, everything is small.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn take(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte() % 24).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken.to_vec()
    }

    /// Any text.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.take()).into_owned()
    }

    /// Any number that DynamoDB takes.
    fn number(&mut self) -> Number {
        let (whole, power) = (self.byte() as i8, self.byte() as i8);
        Number::parse(&format!("{whole}.{}e{power}", self.byte())).unwrap_or_else(|_| Number::from(7))
    }

    /// Any value.
    pub fn value(&mut self, depth: u8) -> Value {
        let several = usize::from(self.byte() % 4);
        match self.byte() % if depth == 0 { 8 } else { 10 } {
            0 => Value::S(self.text()),
            1 => Value::N(self.number()),
            2 => Value::B(self.take()),
            3 => Value::Bool(several > 1),
            4 => Value::Null,
            5 => Value::string_set((0..=several).map(|_| self.text()).collect()),
            6 => Value::number_set((0..=several).map(|_| self.number()).collect()),
            7 => Value::binary_set((0..=several).map(|_| self.take()).collect()),
            8 => Value::L((0..several).map(|_| self.value(depth - 1)).collect()),
            _ => Value::M(
                (0..several)
                    .map(|_| (self.text(), self.value(depth - 1)))
                    .collect(),
            ),
        }
    }

    /// An item that has, among others, some of these attributes.
    pub fn item<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) -> Item {
        let mut item = Item::new();
        for name in names {
            if self.byte() % 8 != 7 {
                item.insert(name.to_owned(), self.value(3));
            }
        }
        for _ in 0..self.byte() % 3 {
            item.insert(self.text(), self.value(2));
        }
        item
    }
}
