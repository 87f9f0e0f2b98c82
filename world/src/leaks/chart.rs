//! Charts as SVG, by hand: a few lines and points on two axes, readable on light and on dark pages.
//!
//! It brings its own ground, so that no page's colour can make it unreadable, and follows what the reader's
//! browser prefers. It never decides what is drawn.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 430.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = 58.0;

/// An axis: from, to, and where it is marked.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it shows, with its unit.
    pub title: String,
    /// The least and the largest.
    pub range: (f64, f64),
    /// Whether each step multiplies.
    pub scale: Scale,
    /// Marks and their words.
    pub marks: Vec<(f64, String)>,
}

/// How an axis runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Each step adds.
    Even,
    /// Each step multiplies.
    Powers,
}

/// What a line is drawn as: the colours are the chart's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// What matters first.
    First,
    /// What matters second.
    Second,
    /// What matters third.
    Third,
    /// A target, a bound.
    Bound,
    /// What is there anyway.
    Quiet,
}

/// A chart that is being drawn.
#[derive(Clone, Debug)]
pub struct Chart {
    x: Axis,
    y: Axis,
    title: String,
    tells: String,
    body: String,
    legend: Vec<(Ink, String)>,
}

impl Axis {
    fn share(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        let value = value.clamp(low, high);
        match self.scale {
            Scale::Even => (value - low) / (high - low),
            Scale::Powers => (value / low).ln() / (high / low).ln(),
        }
    }
}

impl Ink {
    fn class(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Third => "third",
            Self::Bound => "bound",
            Self::Quiet => "quiet",
        }
    }
}

impl Chart {
    /// An empty chart: its title, and in a sentence what it tells those who cannot see it.
    #[must_use]
    pub fn new(title: &str, tells: &str, x: Axis, y: Axis) -> Self {
        Self {
            x,
            y,
            title: title.to_owned(),
            tells: tells.to_owned(),
            body: String::new(),
            legend: Vec::new(),
        }
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (
            LEFT + self.x.share(x) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - self.y.share(y) * (HEIGHT - TOP - BOTTOM),
        )
    }

    /// A word in the legend; an ink is named once.
    pub fn name(&mut self, ink: Ink, words: &str) {
        self.legend.push((ink, words.to_owned()));
    }

    /// A line through points.
    pub fn line(&mut self, ink: Ink, points: &[(f64, f64)]) {
        let mut path = String::new();
        for point in points.iter().filter(|point| point.1.is_finite()) {
            let (x, y) = self.place(*point);
            let letter = if path.is_empty() { 'M' } else { 'L' };
            path.push_str(&format!("{letter}{x:.1} {y:.1}"));
        }
        self.push(&format!(
            r#"<path class="line {}" d="{path}"/>"#,
            ink.class()
        ));
    }

    /// A dot for each point.
    pub fn dots(&mut self, ink: Ink, points: &[(f64, f64)]) {
        for point in points.iter().filter(|point| point.1.is_finite()) {
            let (x, y) = self.place(*point);
            self.push(&format!(
                r#"<circle class="dot {}" cx="{x:.1}" cy="{y:.1}" r="3.6"/>"#,
                ink.class()
            ));
        }
    }

    /// A bar from the ground for each point, so wide in units of x.
    pub fn bars(&mut self, ink: Ink, points: &[(f64, f64)], wide: f64) {
        for point in points.iter().filter(|point| point.1 > 0.0) {
            let ((left, top), (right, ground)) = (
                self.place(*point),
                self.place((point.0 + wide, self.y.range.0)),
            );
            self.push(&format!(
                r#"<rect class="bar {}" x="{left:.1}" y="{top:.1}" width="{:.1}" height="{:.1}"/>"#,
                ink.class(),
                (right - left - 0.6).max(0.4),
                ground - top
            ));
        }
    }

    /// A line upright, with a word beside its top.
    pub fn moment(&mut self, x: f64, words: &str, side: Side) {
        let ((at, top), (_, ground)) = (
            self.place((x, self.y.range.1)),
            self.place((x, self.y.range.0)),
        );
        let (beside, anchor) = match side {
            Side::Left => (at - 6.0, "end"),
            Side::Right => (at + 6.0, "start"),
        };
        self.push(&format!(
            r#"<path class="moment" d="M{at:.1} {top:.1}V{ground:.1}"/><text class="small" x="{beside:.1}" y="{:.1}" text-anchor="{anchor}">{words}</text>"#,
            top + 12.0
        ));
    }

    /// A word at a point.
    pub fn word(&mut self, point: (f64, f64), words: &str) {
        let (x, y) = self.place(point);
        self.push(&format!(
            r#"<text class="small" x="{:.1}" y="{:.1}">{words}</text>"#,
            x + 7.0,
            y - 7.0
        ));
    }

    fn push(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }

    /// The whole of it.
    #[must_use]
    pub fn svg(&self) -> String {
        let (right, ground) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let mut axes = String::new();
        for (value, words) in &self.x.marks {
            let (x, _) = self.place((*value, self.y.range.0));
            axes.push_str(&format!(
                "<path class=\"grid\" d=\"M{x:.1} {TOP}V{ground}\"/><text class=\"small\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{words}</text>\n",
                ground + 20.0
            ));
        }
        for (value, words) in &self.y.marks {
            let (_, y) = self.place((self.x.range.0, *value));
            axes.push_str(&format!(
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/><text class=\"small\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{words}</text>\n",
                LEFT - 8.0,
                y + 4.0
            ));
        }
        let mut at = LEFT;
        let mut legend = String::new();
        for (ink, words) in &self.legend {
            legend.push_str(&format!(
                "<path class=\"line {}\" d=\"M{at:.0} 58h22\"/><text class=\"small\" x=\"{:.0}\" y=\"62\">{words}</text>\n",
                ink.class(),
                at + 28.0
            ));
            at += 48.0 + 6.1 * count(words);
        }
        let middle = f64::midpoint(TOP, ground);
        let mut svg = String::new();
        let written = write!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="t d">
<title id="t">{}</title>
<desc id="d">{}</desc>
<style>{STYLE}</style>
<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="10"/>
<text class="title" x="{LEFT}" y="34">{}</text>
{legend}{axes}<path class="axis" d="M{LEFT} {TOP}V{ground}H{right}"/>
<text class="small" x="{:.0}" y="{:.0}" text-anchor="middle">{}</text>
<text class="small" transform="translate(20 {middle:.0}) rotate(-90)" text-anchor="middle">{}</text>
{}</svg>
"#,
            self.title,
            self.tells,
            self.title,
            f64::midpoint(LEFT, right),
            HEIGHT - 14.0,
            self.x.title,
            self.y.title,
            self.body
        );
        written.expect("a string takes what is written to it");
        svg
    }
}

/// On which side of a moment its word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before it.
    Left,
    /// After it.
    Right,
}

fn count(words: &str) -> f64 {
    super::case::many(words.chars().count())
}

const STYLE: &str = r#"
.ground{fill:#fbfcfd;stroke:#d5dde5}
text{font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1f2d3a}
.title{font-size:17px;font-weight:600}
.small{font-size:12.5px;fill:#43586b}
.grid{stroke:#e3e9ee;fill:none}
.axis{stroke:#5b7083;fill:none}
.moment{stroke:#8a4b2a;fill:none;stroke-dasharray:3 3}
.line{fill:none;stroke-width:2.2;stroke-linejoin:round}
.line.first{stroke:#1f6fb2}.line.second{stroke:#b5541c}.line.third{stroke:#3d7d3a}
.line.bound{stroke:#7d5ba6;stroke-dasharray:7 4}.line.quiet{stroke:#9aabba;stroke-width:1.6}
.dot.first,.bar.first{fill:#1f6fb2}.dot.second,.bar.second{fill:#b5541c}.dot.third,.bar.third{fill:#3d7d3a}
.dot.bound,.bar.bound{fill:#7d5ba6}.dot.quiet,.bar.quiet{fill:#9aabba}
@media (prefers-color-scheme:dark){
.ground{fill:#10161c;stroke:#2b3844}
text{fill:#e6edf3}.small{fill:#a9bccc}
.grid{stroke:#22303c}.axis{stroke:#7b90a3}.moment{stroke:#e0a078}
.line.first{stroke:#6db3ea}.line.second{stroke:#f0935a}.line.third{stroke:#86c47f}
.line.bound{stroke:#bd9fe3}.line.quiet{stroke:#6a7f92}
.dot.first,.bar.first{fill:#6db3ea}.dot.second,.bar.second{fill:#f0935a}.dot.third,.bar.third{fill:#86c47f}
.dot.bound,.bar.bound{fill:#bd9fe3}.dot.quiet,.bar.quiet{fill:#5b6f80}
}
"#;
