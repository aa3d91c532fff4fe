//! Least squares whose unknowns cannot be negative: no part of an engine's work gives time back.

/// Columns scaled to length 1 whose part outside of the others has a square smaller than this cannot be told apart: noise of
/// a thousandth would move them by their whole size.
const LEAST_INDEPENDENCE: f64 = 1e-6;

/// A column that others explain, or that no row has: its unknown has no value of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dependent(pub(super) usize);

/// The unknowns >= 0 that make the sum of squares of `coefficients * unknowns - right` least, by the active-set method of
/// Lawson and Hanson (Solving Least Squares Problems, 1974, chapter 23).
pub(super) fn non_negative(rows: &[(Vec<f64>, f64)]) -> Result<Vec<f64>, Dependent> {
    let columns = rows.first().map_or(0, |(coefficients, _)| coefficients.len());
    let scales = scales(rows, columns)?;
    let mut squares = vec![vec![0.0; columns]; columns];
    let mut right = vec![0.0; columns];
    for (row, value) in rows {
        let scaled: Vec<f64> = row.iter().zip(&scales).map(|(coefficient, scale)| coefficient / scale).collect();
        for ((mine, right), squares) in scaled.iter().zip(&mut right).zip(&mut squares) {
            *right += mine * value;
            squares.iter_mut().zip(&scaled).for_each(|(square, other)| *square += mine * other);
        }
    }
    let all: Vec<usize> = (0..columns).collect();
    solve(&squares, &right, &all).ok_or_else(|| Dependent(first_dependent(&squares)))?;
    let unknowns = active_set(&squares, &right);
    Ok(unknowns.iter().zip(&scales).map(|(unknown, scale)| unknown / scale).collect())
}

/// The columns' lengths.
fn scales(rows: &[(Vec<f64>, f64)], columns: usize) -> Result<Vec<f64>, Dependent> {
    let length = |column: usize| rows.iter().map(|(row, _)| row[column] * row[column]).sum::<f64>().sqrt();
    (0..columns).map(|column| Some(length(column)).filter(|it| *it > 0.0).ok_or(Dependent(column))).collect()
}

fn active_set(squares: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let columns = right.len();
    let mut unknowns = vec![0.0; columns];
    let mut free: Vec<usize> = Vec::new();
    // Each round frees one unknown for good or ends; the limit only guards against rounding.
    for _ in 0..3 * columns {
        let downhill = |column: usize| right[column] - dot(&squares[column], &unknowns);
        let steepest =
            (0..columns).filter(|it| !free.contains(it)).max_by(|a, b| downhill(*a).total_cmp(&downhill(*b)));
        let Some(steepest) = steepest.filter(|it| downhill(*it) > 1e-12 * right[*it].abs().max(1e-12)) else { break };
        free.push(steepest);
        while let Some(best) = solve(squares, right, &free) {
            let crossing = free.iter().zip(&best).filter(|(_, best)| **best <= 0.0);
            let step = crossing.map(|(&it, best)| unknowns[it] / (unknowns[it] - best)).min_by(f64::total_cmp);
            let reached = step.unwrap_or(1.0);
            for (&column, best) in free.iter().zip(&best) {
                unknowns[column] += reached * (best - unknowns[column]);
            }
            if step.is_none() {
                break;
            }
            free.retain(|&column| unknowns[column] > 1e-14);
            (0..columns).filter(|it| !free.contains(it)).for_each(|it| unknowns[it] = 0.0);
        }
    }
    unknowns
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

/// Solves the square system of the unknowns in `free` by Cholesky's decomposition; `None` where it has no single answer.
fn solve(squares: &[Vec<f64>], right: &[f64], free: &[usize]) -> Option<Vec<f64>> {
    let lower = decompose(squares, free).ok()?;
    let mut solution: Vec<f64> = free.iter().map(|&column| right[column]).collect();
    for i in 0..free.len() {
        let known: f64 = dot(&lower[i][..i], &solution[..i]);
        solution[i] = (solution[i] - known) / lower[i][i];
    }
    for i in (0..free.len()).rev() {
        let known: f64 = (i + 1..free.len()).map(|j| lower[j][i] * solution[j]).sum();
        solution[i] = (solution[i] - known) / lower[i][i];
    }
    Some(solution)
}

/// The lower triangle, or the place in `free` of the first column that those before it explain.
fn decompose(squares: &[Vec<f64>], free: &[usize]) -> Result<Vec<Vec<f64>>, usize> {
    let mut lower = vec![vec![0.0; free.len()]; free.len()];
    for i in 0..free.len() {
        for j in 0..=i {
            let rest = squares[free[i]][free[j]] - dot(&lower[i][..j], &lower[j][..j]);
            if i == j && rest < LEAST_INDEPENDENCE {
                return Err(i);
            }
            lower[i][j] = if i == j { rest.sqrt() } else { rest / lower[j][j] };
        }
    }
    Ok(lower)
}

fn first_dependent(squares: &[Vec<f64>]) -> usize {
    let all: Vec<usize> = (0..squares.len()).collect();
    decompose(squares, &all).err().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solved(rows: &[(&[f64], f64)]) -> Result<Vec<f64>, Dependent> {
        let rows: Vec<(Vec<f64>, f64)> = rows.iter().map(|(row, right)| (row.to_vec(), *right)).collect();
        non_negative(&rows)
    }

    #[test]
    fn an_exact_system_is_solved_exactly_whatever_the_sizes_of_its_unknowns() {
        let found = solved(&[(&[1.0, 0.0], 6.5), (&[1.0, 3e4], 9.2), (&[1.0, 5e5], 51.5)]).expect("independent");
        assert!((found[0] - 6.5).abs() < 1e-9 && (found[1] - 9e-5).abs() < 1e-14, "{found:?}");
    }

    #[test]
    fn what_would_be_negative_is_zero_and_the_others_are_the_best_without_it() {
        // Unbounded, the line through these would fall by 1 a step.
        let found = solved(&[(&[1.0, 0.0], 3.0), (&[1.0, 1.0], 2.0), (&[1.0, 2.0], 1.0)]).expect("independent");
        assert!((found[0] - 2.0).abs() < 1e-9 && found[1] == 0.0, "{found:?}");
    }

    #[test]
    fn unknowns_that_always_come_together_are_refused() {
        assert_eq!(solved(&[(&[1.0, 2.0], 1.0), (&[2.0, 4.0], 2.0), (&[3.0, 6.0], 3.0)]), Err(Dependent(1)));
        assert_eq!(solved(&[(&[1.0, 0.0], 1.0), (&[2.0, 0.0], 2.0)]), Err(Dependent(1)), "never seen at all");
    }
}
