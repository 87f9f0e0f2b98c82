//! Names and topics of every sensor in every home, made once.

use std::sync::Arc;

use crate::sensor::Sensor;

/// What a sensor is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// `TH1` in a single home, `h0001/TH1` in one of several.
    pub name: Arc<str>,
    /// `sensors/` and the name.
    pub topic: Arc<str>,
}

/// The labels of all homes; cheap to clone.
#[derive(Clone, Debug)]
pub struct Fleet {
    labels: Arc<[Label]>,
}

impl Fleet {
    /// The labels of `homes` homes. A single one has no prefix.
    #[must_use]
    pub fn new(homes: u32) -> Self {
        let labels = (0..homes)
            .flat_map(|home| Sensor::ALL.map(|sensor| (home, sensor)))
            .map(|(home, sensor)| {
                let name: Arc<str> = if homes == 1 {
                    sensor.name().into()
                } else {
                    format!("{}/{}", prefix(home), sensor.name()).into()
                };
                let topic = format!("sensors/{name}").into();
                Label { name, topic }
            })
            .collect();
        Self { labels }
    }

    /// How a sensor of a home (from 0) is called.
    ///
    /// # Panics
    /// When the fleet has no such home.
    #[must_use]
    pub fn label(&self, home: u32, sensor: Sensor) -> &Label {
        &self.labels[home as usize * Sensor::ALL.len() + sensor as usize]
    }
}

/// `h0001` for home 0: people count from one.
pub(crate) fn prefix(home: u32) -> String {
    format!("h{:04}", home + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_home_has_no_prefix_and_several_have() {
        let alone = Fleet::new(1);
        assert_eq!(&*alone.label(0, Sensor::Mov1).topic, "sensors/Mov1");
        let many = Fleet::new(12);
        assert_eq!(&*many.label(0, Sensor::Th1).name, "h0001/TH1");
        assert_eq!(&*many.label(11, Sensor::Wtot).topic, "sensors/h0012/Wtot");
    }
}
