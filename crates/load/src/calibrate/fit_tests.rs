//! The fit from points whose constants are known.

use super::*;

/// What the synthetic engine's iterations take.
struct Truth {
    overhead: f64,
    iteration: f64,
    sequences: fn(u32) -> f64,
    cached: f64,
    chunk: f64,
    prefill: f64,
    squared: f64,
}

const LINE: Truth = Truth {
    overhead: 8.0,
    iteration: 18.0,
    sequences: |n| 1.2 * f64::from(n),
    cached: 0.002,
    chunk: 3.0,
    prefill: 0.5,
    squared: 1e-4,
};

/// As theory has it of a CPU engine: 11 ms, 17.9 ms, then 2.7 ms for each.
const BENT: Truth = Truth {
    iteration: 7.0,
    sequences: |n| if n < 2 { 4.0 * f64::from(n) } else { 10.9 + 2.7 * f64::from(n - 2) },
    ..LINE
};

impl Truth {
    fn observation(&self, kind: Kind, sequences: u32, cached_tokens: f64, prefill_tokens: f64) -> Observation {
        let (overheads, iterations) = match kind {
            Kind::Decode => (0.0, 8.0),
            Kind::Mixed => (0.0, 1.0),
            Kind::Prefill => (1.0, 1.0),
            Kind::Joining => (1.0, 0.5),
        };
        let prefill_chunks = f64::from(prefill_tokens > 0.0);
        let prefill_squares = prefill_tokens * prefill_tokens / 2.0;
        let measured_ms = self.overhead * overheads
            + iterations * (self.iteration + (self.sequences)(sequences) + self.cached * cached_tokens)
            + self.chunk * prefill_chunks
            + self.prefill * prefill_tokens
            + self.squared * prefill_squares;
        let uncertainty_ms = if kind == Kind::Joining { measured_ms / 4.0 } else { 0.0 };
        Observation {
            kind,
            measured_ms,
            uncertainty_ms,
            overheads,
            iterations,
            sequences,
            cached_tokens,
            prefill_chunks,
            prefill_tokens,
            prefill_squares,
        }
    }

    fn sweep(&self) -> Vec<Observation> {
        let mut sweep = Vec::new();
        for sequences in [1, 2, 3, 4, 6, 8, 12, 16] {
            for context in [24.0, 400.0] {
                sweep.push(self.observation(Kind::Decode, sequences, context * f64::from(sequences), 0.0));
            }
        }
        for sequences in [1, 4, 12] {
            for prompt in [50.0, 200.0] {
                let cached_tokens = 30.0 * f64::from(sequences);
                sweep.push(self.observation(Kind::Mixed, sequences, cached_tokens, prompt));
                sweep.push(self.observation(Kind::Joining, sequences, cached_tokens, 0.0));
            }
        }
        sweep.extend([16.0, 64.0, 256.0, 480.0].map(|prompt| self.observation(Kind::Prefill, 0, 0.0, prompt)));
        sweep
    }
}

fn near(found: f64, truth: f64, share: f64) {
    assert!((found - truth).abs() <= share * truth, "{found} is not within {share} of {truth}");
}

fn is_line(constants: &Constants, share: f64) {
    assert_eq!(constants.decode_steps, []);
    near(constants.overhead_ms, LINE.overhead, share);
    near(constants.iteration_ms, LINE.iteration, share);
    near(constants.per_sequence_ms, 1.2, share);
    near(constants.per_cached_token_ms, LINE.cached, share);
    near(constants.per_prefill_chunk_ms, LINE.chunk, share);
    near(constants.per_prefill_token_ms, LINE.prefill, share);
    near(constants.per_prefill_token_squared_ms, LINE.squared, share);
}

#[test]
fn exact_points_give_the_exact_constants_and_no_error() {
    let fit = fit(&LINE.sweep()).unwrap();
    is_line(&fit.constants, 1e-6);
    assert!(fit.errors.values().all(|error| error.max < 1e-6), "{:?}", fit.errors);
    assert_eq!(fit.errors[&Kind::Decode].observations, 16);
}

#[test]
fn where_no_line_fits_decoding_becomes_a_table_that_never_falls() {
    let fit = fit(&BENT.sweep()).unwrap();
    let steps = &fit.constants.decode_steps;
    assert_eq!(steps.iter().map(|step| step.sequences).collect::<Vec<_>>(), [1, 2, 3, 4, 6, 8, 12, 16]);
    for step in steps {
        near(fit.constants.iteration_ms + step.added_ms, BENT.iteration + (BENT.sequences)(step.sequences), 1e-4);
    }
    near(fit.constants.per_sequence_ms, 2.7, 1e-4);
    near(fit.constants.overhead_ms, BENT.overhead, 1e-3);
    assert!(steps.windows(2).all(|pair| pair[0].added_ms <= pair[1].added_ms));
    assert!(fit.errors[&Kind::Decode].max < 1e-4, "{:?}", fit.errors);
}

#[test]
fn a_flat_last_stretch_does_not_make_sequences_beyond_the_table_free() {
    let flat_at_the_end = |n: u32| (BENT.sequences)(n.min(12));
    let fit = fit(&Truth { sequences: flat_at_the_end, ..BENT }.sweep()).unwrap();
    let steps = &fit.constants.decode_steps;
    near(steps[7].added_ms, steps[6].added_ms, 1e-3);
    // From 8 to 16 sequences only four added anything.
    near(fit.constants.per_sequence_ms, 2.7 / 2.0, 1e-3);
}

#[test]
fn a_few_wild_measurements_move_the_constants_little() {
    let mut sweep = [LINE.sweep(), LINE.sweep(), LINE.sweep()].concat();
    // The machine paused four times, and once tokens came together so that a gap all but vanished.
    for index in [3, 20, 41, 60] {
        sweep[index].measured_ms *= 5.0;
    }
    let broken = sweep.iter().position(|it| it.kind == Kind::Mixed).unwrap();
    sweep[broken].measured_ms = 0.05;
    let fit = fit(&sweep).unwrap();
    near(fit.constants.iteration_ms, LINE.iteration, 0.05);
    near(fit.constants.per_prefill_token_ms, LINE.prefill, 0.05);
    assert!(fit.errors[&Kind::Decode].max > 0.5, "the error tells of them: {:?}", fit.errors);
}

#[test]
fn what_takes_now_this_long_and_now_that_is_fitted_by_its_mean() {
    let with = |factor: f64| {
        LINE.sweep().into_iter().map(move |it| Observation { measured_ms: factor * it.measured_ms, ..it })
    };
    // The machine is quick at first, and slow for as long.
    let fit = fit(&with(0.8).chain(with(1.3)).collect::<Vec<_>>()).unwrap();
    near(fit.constants.iteration_ms, 1.05 * LINE.iteration, 0.005);
    near(fit.constants.per_sequence_ms, 1.05 * 1.2, 0.005);
    near(fit.constants.per_prefill_token_ms, 1.05 * LINE.prefill, 0.005);
}

#[test]
fn measurements_that_vary_too_little_are_refused_with_the_constant_they_leave_open() {
    let one_length: Vec<Observation> = LINE
        .sweep()
        .into_iter()
        .filter(|it| it.kind != Kind::Mixed && (it.kind != Kind::Prefill || it.prefill_tokens == 64.0))
        .flat_map(|it| [it, it, it])
        .collect();
    let refused = fit(&one_length).unwrap_err();
    assert_eq!(refused, Unfit::Collinear("the time of a prompt token"));
    assert!(refused.to_string().contains("measure more different"), "{refused}");
    let one_context: Vec<Observation> = LINE.sweep().into_iter().filter(|it| it.cached_tokens == 0.0).collect();
    assert_eq!(fit(&one_context), Err(Unfit::TooFew { kind: Kind::Decode, found: 0 }));
}

#[test]
fn a_time_that_is_no_number_is_refused_at_the_door() {
    for wrong in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
        let mut sweep = LINE.sweep();
        sweep[2].measured_ms = wrong;
        assert!(matches!(fit(&sweep), Err(Unfit::NotATime(_))), "{wrong}");
    }
}
