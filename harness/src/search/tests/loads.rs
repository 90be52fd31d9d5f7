//! The grid of loads, the limits, and the splitting of intervals.

use proptest::prelude::*;

use super::super::grid::{Grid, GridLoad, GridWidth};
use super::super::limits::{Limits, middle};
use super::device::pps;

fn fit(load: i64, width: i64, lower: Option<i64>, upper: Option<i64>) -> Option<i64> {
    let limits = Limits {
        min: GridLoad(0),
        max: GridLoad(100),
    };
    limits
        .fit(
            GridLoad(load),
            GridWidth(width),
            lower.map(GridLoad),
            upper.map(GridLoad),
        )
        .map(|load| load.0)
}

#[test]
fn csit_grid() {
    // The grid of CSIT's library for these limits has 1479 steps; half a percent is 1 of them.
    let grid = Grid::new(pps(9_001.0), pps(14.88e6), &[0.005, 0.005]).unwrap();
    assert_eq!(grid.top(), GridLoad(1_479));
    assert_eq!(grid.width(0.005), GridWidth(1));
}

#[test]
fn loads_keep_their_distance() {
    // Far from everything: unchanged.
    assert_eq!(fit(50, 10, None, None), Some(50));
    assert_eq!(fit(50, 10, Some(20), Some(80)), Some(50));
    // Near a limit of the search: onto it. Beyond: the same.
    assert_eq!(fit(5, 10, None, Some(80)), Some(0));
    assert_eq!(fit(-7, 10, None, Some(80)), Some(0));
    assert_eq!(fit(95, 10, Some(20), None), Some(100));
    assert_eq!(fit(107, 10, Some(20), None), Some(100));
    // Near a bound: away from it.
    assert_eq!(fit(25, 10, Some(20), Some(80)), Some(30));
    assert_eq!(fit(75, 10, Some(20), Some(80)), Some(70));
    // A narrow rest: the limit if there is one, else nothing.
    assert_eq!(fit(4, 10, None, Some(8)), Some(0));
    assert_eq!(fit(96, 10, Some(92), None), Some(100));
    assert_eq!(fit(50, 10, Some(45), Some(55)), None);
    // Less than two widths: where the interval splits best.
    assert_eq!(fit(46, 10, Some(45), Some(59)), Some(50));
    // On or beyond a bound: nothing.
    assert_eq!(fit(20, 10, Some(20), Some(80)), None);
    assert_eq!(fit(80, 10, Some(20), Some(80)), None);
    assert_eq!(fit(0, 10, None, Some(0)), None);
    assert_eq!(fit(100, 10, Some(100), None), None);
}

#[test]
fn intervals_split_at_powers_of_two() {
    let split =
        |total, width| middle(GridLoad(0), GridLoad(total), GridWidth(width)).map(|load| load.0);
    assert_eq!(split(4, 4), None);
    assert_eq!(split(8, 4), Some(4));
    assert_eq!(split(16, 4), Some(8));
    // Between one and two widths: at half a width, or in the middle.
    assert_eq!(split(6, 4), Some(2));
    assert_eq!(split(7, 4), Some(3));
    assert_eq!(split(5, 3), Some(2));
    // 4 below and 5 above, rather than 1 below and 8 above.
    assert_eq!(split(9, 4), Some(4));
    // 4 below and 7 above, rather than 3 below and 8 above.
    assert_eq!(split(11, 4), Some(4));
    // 7 below and 8 above, rather than 4 below and 11 above.
    assert_eq!(split(15, 4), Some(7));
    assert_eq!(split(3, 1), Some(1));
    assert_eq!(split(7, 1), Some(3));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn grids_invert(
        min in 0.0_f64..8.0,
        range in 0.001_f64..9.0,
        widths in prop::collection::vec(0.0005_f64..0.5, 1..4),
        share in 0.0_f64..1.0,
    ) {
        let (low, high) = (10_f64.powf(min), 10_f64.powf(min + range));
        let grid = Grid::new(pps(low), pps(high), &widths).unwrap();
        let place = GridLoad((grid.top().0 as f64 * share) as i64);
        let rate = grid.rate(place);
        prop_assert_eq!(grid.floor(rate.get()), place);
        prop_assert!(grid.rate(place + GridWidth(1)) >= rate);
        if place > grid.bottom() {
            // The next smaller float is the place before.
            prop_assert_eq!(grid.floor(rate.get().next_down()), place - GridWidth(1));
        }
        prop_assert_eq!(grid.rate(grid.bottom()), pps(low));
        prop_assert_eq!(grid.rate(grid.top()), pps(high));
        for rate in [f64::NAN, f64::NEG_INFINITY, -1.0, 0.0, low / 2.0] {
            prop_assert_eq!(grid.floor(rate), grid.bottom());
        }
        for rate in [f64::INFINITY, high * 2.0] {
            prop_assert_eq!(grid.floor(rate), grid.top());
        }
        for width in widths {
            // No wider than asked for; one step more would be too wide, unless the grid ends there.
            let steps = grid.width(width);
            if place + steps <= grid.top() {
                let upper = grid.rate(place + steps).get();
                prop_assert!((upper - rate.get()) / upper <= width);
            }
            if place + steps + GridWidth(1) <= grid.top() {
                let upper = grid.rate(place + steps + GridWidth(1)).get();
                prop_assert!((upper - rate.get()) / upper > width);
            }
        }
    }

    #[test]
    fn splits_lie_inside(low in 0_i64..1000, total in 1_i64..1_000_000, width in 1_i64..2000) {
        let (low, high) = (GridLoad(low), GridLoad(low + total));
        match middle(low, high, GridWidth(width)) {
            None => prop_assert!(total <= width),
            Some(split) => {
                let (below, above) = (split - low, high - split);
                prop_assert!(total > width && GridWidth(0) < below && below <= above);
                prop_assert!(above.0 <= below.0 * 2 + 1, "{below:?} and {above:?}");
            }
        }
    }

    #[test]
    fn fitted_loads_are_useful(
        load in -50_i64..150,
        width in 1_i64..60,
        lower in prop::option::of(0_i64..=100),
        upper in prop::option::of(0_i64..=100),
    ) {
        if let Some(fitted) = fit(load, width, lower, upper) {
            prop_assert!((0..=100).contains(&fitted));
            prop_assert!(lower.is_none_or(|lower| lower < fitted));
            prop_assert!(upper.is_none_or(|upper| fitted < upper));
        }
    }
}
