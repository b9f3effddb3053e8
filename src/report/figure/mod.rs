//! The figures: each drawn twice, for a wide page and for a telephone, so that letters are legible on both.
//!
//! Nothing is told by colour alone: hatches, markers, dashes and words say the same.

mod averages;
mod axis;
mod ecdf;
mod histogram;
mod network;
mod responders;
mod series;
mod sheet;
mod style;

use anyhow::Result;

use crate::report::group::Scenario;

/// A picture and what it shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    /// Of its files.
    pub(super) name: String,
    pub(super) title: String,
    /// How it is to be read.
    pub(super) caption: String,
    /// The same for who does not see it.
    pub(super) alt: String,
    /// SVG, for files and wide pages.
    pub(super) wide: String,
    /// SVG, for narrow pages.
    pub(super) narrow: String,
}

/// Those that compare, and those of each scenario.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figures {
    pub(super) together: Vec<Figure>,
    /// As many as there are scenarios.
    pub(super) each: Vec<Vec<Figure>>,
}

impl Figures {
    pub(super) fn all(&self) -> impl Iterator<Item = &Figure> {
        self.together.iter().chain(self.each.iter().flatten())
    }
}

pub(super) fn figures(scenarios: &[Scenario]) -> Result<Figures> {
    let mut together = vec![averages::figure(scenarios)?, ecdf::figure(scenarios)?];
    if scenarios.len() > 1 {
        together.push(histogram::together(scenarios)?);
        together.push(series::together(scenarios)?);
    }
    let mut each = Vec::new();
    for (at, one) in scenarios.iter().enumerate() {
        let mut own: Vec<Figure> = network::figure(one).transpose()?.into_iter().collect();
        own.extend([series::figure(one, at)?, histogram::figure(one, at)?]);
        own.extend(responders::figure(one, at).transpose()?);
        each.push(own);
    }
    Ok(Figures { together, each })
}
