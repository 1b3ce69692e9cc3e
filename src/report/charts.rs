//! What was measured during the split: lag and rates over time.

use super::figures::{across, colour, moment, tick};
use super::standing::Standing;
use crate::model::{count, duration};
use crate::state::ChartSample;
use maud::{Markup, html};

/// A line of a chart: its name, its class, and its points (time in milliseconds, value).
struct Line {
    name: String,
    class: String,
    points: Vec<(u64, f64)>,
}

/// The section; nothing before there are two samples.
pub(super) fn charts(standing: &Standing) -> Markup {
    let history = &standing.history;
    let (Some(first), Some(last)) = (history.first(), history.last()) else {
        return html! {};
    };
    if first.at_ms >= last.at_ms {
        return html! {};
    }
    let span = (first.at_ms, last.at_ms);
    let lanes: Vec<String> = last.records.keys().cloned().collect();
    let lag = lanes.iter().map(|lane| Line {
        name: lane.clone(),
        class: class(standing, lane),
        points: history.iter().filter_map(|sample| lag(sample, lane)).collect(),
    });
    let rates = lanes.iter().map(|lane| Line {
        name: lane.clone(),
        class: class(standing, lane),
        points: rates(history, |sample| sample.records.get(lane).copied()),
    });
    let read = Line {
        name: "backfill: items read".into(),
        class: colour(standing.services.len()),
        points: rates_of_backfill(history),
    };
    html! {
        section aria-labelledby="charts" {
            h2 id="charts" { "Over time" }
            p.note { "From " (moment(span.0)) " to " (moment(span.1)) "." }
            div.charts {
                (chart("Lag", "lag", span, lag.collect(), |value| duration(whole(value))))
                (chart("Records and items per second", "rates", span, rates.chain([read]).collect(), rate))
            }
        }
    }
}

/// A lane has the colour of its service in the flow of items.
fn class(standing: &Standing, lane: &str) -> String {
    let services = &standing.services;
    let place = services.iter().position(|service| service.name == lane);
    place.map_or("left".to_owned(), colour)
}

/// A rate, with one digit after the point if it is small.
fn rate(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        small if small < 0.05 => "< 0.1".to_owned(),
        small if small < 10.0 => format!("{small:.1}"),
        value => count(whole(value)),
    }
}

#[allow(clippy::cast_precision_loss)] // a drawing
fn lag(sample: &ChartSample, lane: &str) -> Option<(u64, f64)> {
    sample.lag_ms.get(lane).map(|lag| (sample.at_ms, *lag as f64))
}

fn rates_of_backfill(history: &[ChartSample]) -> Vec<(u64, f64)> {
    let points = rates(history, |sample| Some(sample.items_read));
    if points.iter().any(|(_, rate)| *rate > 0.0) {
        points
    } else {
        Vec::new()
    }
}

/// How fast a count rises between two samples. A count that begins anew has no rate there.
#[allow(clippy::cast_precision_loss)] // a drawing
fn rates(history: &[ChartSample], of: impl Fn(&ChartSample) -> Option<u64>) -> Vec<(u64, f64)> {
    let pairs = history.windows(2).filter_map(|pair| {
        let (before, after) = (of(&pair[0])?, of(&pair[1])?);
        let over_ms = pair[1].at_ms.saturating_sub(pair[0].at_ms);
        let rise = after.checked_sub(before).filter(|_| over_ms > 0)?;
        Some((pair[1].at_ms, rise as f64 * 1000.0 / over_ms as f64))
    });
    pairs.collect()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small, and not negative
fn whole(value: f64) -> u64 {
    value.round() as u64
}

fn chart(title: &str, id: &str, span: (u64, u64), lines: Vec<Line>, shown: impl Fn(f64) -> String) -> Markup {
    let lines: Vec<Line> = lines.into_iter().filter(|line| !line.points.is_empty()).collect();
    let most = lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|(_, value)| *value)
        .fold(1.0, f64::max);
    let last = |line: &Line| line.points.last().map_or(0.0, |(_, value)| *value);
    let highest = |line: &Line| line.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    html! {
        figure aria-labelledby={ "chart-" (id) } {
            figcaption id={ "chart-" (id) } { (title) }
            svg.chart aria-hidden="true" focusable="false" width="100%" height="180" {
                @for (y, value) in [(12, most), (86, most / 2.0), (160, 0.0)] {
                    line.tick x1="0" x2="100%" y1=(y) y2=(y) {}
                    text x="0" y=(y - 3) { (shown(value)) }
                }
                svg x="0" y="12" width="100%" height="148" viewBox="0 0 1000 148" preserveAspectRatio="none" {
                    @for line in &lines {
                        polyline class={ "line " (line.class) } points=(points(&line.points, span, most)) vector-effect="non-scaling-stroke" {}
                    }
                }
                @for (at, at_ms, anchor) in [(0.0, span.0, "start"), (1.0, span.1, "end")] {
                    text x=(across(at)) y="176" text-anchor=(anchor) { (tick(at_ms, span.1 - span.0)) }
                }
            }
            ul.legend {
                @for line in &lines {
                    li { span class={ "key " (line.class) } aria-hidden="true" {} bdi { (line.name) } ": " (shown(last(line))) " now, " (shown(highest(line))) " at most" }
                }
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)] // a drawing
fn points(points: &[(u64, f64)], (from, to): (u64, u64), most: f64) -> String {
    let length = to.saturating_sub(from).max(1) as f64;
    let each = points.iter().map(|(at_ms, value)| {
        let x = at_ms.saturating_sub(from) as f64 / length * 1000.0;
        format!("{x:.1},{:.1}", 148.0 - value / most * 148.0)
    });
    each.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_rate_is_not_rounded_to_another() {
        assert_eq!(
            [0.0, 0.04, 1.5, 9.96, 1234.4].map(rate),
            ["0", "< 0.1", "1.5", "10.0", "1,234"]
        );
    }

    #[test]
    fn a_count_that_begins_anew_has_no_rate() {
        let sample = |at_ms, items_read| ChartSample {
            at_ms,
            items_read,
            ..ChartSample::default()
        };
        let history = [
            sample(0, 0),
            sample(2000, 100),
            sample(3000, 5),
            sample(3000, 9),
            sample(5000, 9),
        ];
        let found = rates(&history, |sample| Some(sample.items_read));
        assert_eq!(found, [(2000, 50.0), (5000, 0.0)]);
    }
}
