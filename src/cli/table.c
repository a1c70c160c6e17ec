/* The command table: what there is, in the order of help. */
#include "cli/commands.h"

#define NO_LIMIT ((size_t)-1)

const struct strata_command strata_commands[] = {
    {
        "score",
        "DATA --model DIR --out RUN [options]",
        "measure how hard each sample is for a model",
        "DATA is a JSONL file, one sample a line: `messages` (turns with `<image>` where the image stands), `images` "
        "(paths), `solution` (the right answer), and optionally `id`, `ability` and any other columns. Files of "
        "ms-swift, TRL, verl and LLaMA-Factory (its directory, or DIR:NAME), Parquet, JSON arrays, CSV and TSV are "
        "read too, also compressed by gzip or zstd, and several at once by a quoted pattern ('part-*.jsonl'): "
        "docs/formats.md.\n"
        "\n"
        "PISM hides a growing share of the image until the model fails; CMAB measures how its attention divides "
        "between image and text while it answers. Each sample gets a stratum by both: easy, medium, hard or "
        "unsolved. The run directory keeps every answer, so that `strata select` can cut again without the model; "
        "difficulty.jsonl appears in it at the end, one line a sample.\n"
        "\n"
        "Ctrl-C saves and stops; the same command goes on where it stopped. Settings that determine the draws are "
        "fixed for the life of a run directory.",
        "strata score data.jsonl --model Qwen2.5-VL-7B-Instruct --out run\n"
        "strata score data.jsonl --model M --out run --dry-run\n"
        "strata score data.jsonl --model M --out run-1 --shard 1/8",
        "out",
        1,
        1,
        strata_cli_score,
    },
    {
        "select",
        "RUN --strata LIST --out FILE [options]",
        "write the records of some strata, or a random set of equal size",
        "Cuts a run again (tau, bands, CMAB options) without the model and writes the chosen records of the data set "
        "as they were read, or in a trainer's layout (--format), with a manifest beside them that says where they come "
        "from. With a trainer's layout comes a launch file for that trainer with the paper's settings: GRPO for "
        "ms-swift, TRL and verl, SFT for LLaMA-Factory. One that is there already is left as it is.",
        "strata select run --strata mid,hard --out mid+hard.jsonl\n"
        "strata select run --strata mid,hard --random-like --seed 1 --out random.jsonl\n"
        "strata select run --strata mid --format llamafactory --out lf\n"
        "strata select run --by cmab --strata hard --cmab-over-tokens ratio-of-sums --out hard.jsonl",
        "out",
        1,
        1,
        strata_cli_select,
    },
    {
        "convert",
        "IN OUT --format LAYOUT [options]",
        "write a data set in the layout of another trainer",
        "IN is any data set that strata reads; which layout it has is told by its content and said on stderr. OUT is a "
        "file, or a directory for llamafactory; it appears whole or not at all, and strata reads it back: ids and "
        "columns that the layout does not know survive. Images inside records become files where the trainer wants "
        "files. docs/formats.md has an example of each layout.",
        "strata convert data.jsonl lf --format llamafactory\n"
        "strata convert train_math.parquet train.jsonl --format swift\n"
        "strata convert train.jsonl train.parquet --format verl\n"
        "strata convert lf:lf train.jsonl --format swift\n"
        "strata convert 'part-*.jsonl.gz' all.csv",
        NULL,
        2,
        2,
        strata_cli_convert,
    },
    {
        "merge",
        "RUN... --out RUN [options]",
        "join the run directories of --shard",
        "The settings that determine draws must agree, and no sample may be in two of them.",
        "strata merge run-1 run-2 run-3 --out run",
        "out",
        1,
        NO_LIMIT,
        strata_cli_merge,
    },
    {
        "report",
        "RUN --out FILE [options]",
        "show a run as one HTML page: strata, curves, and its samples",
        "The page needs no network and opens from a folder: strata by ability, PISM curves, the balance of attention, "
        "how "
        "the two measures agree, and a browser of samples with their images, masks and answers. With --model, the "
        "balance of each token stands on the answer's text.",
        "strata report run --out report.html\n"
        "strata report run --out report.html --samples 1000 --model models/easyvqa-tiny",
        "out",
        1,
        1,
        strata_cli_report,
    },
    {
        "sft",
        "DATA --model DIR --out DIR [options]",
        "train on given answers",
        "Every assistant turn of a record is learnt; a record without one is trained towards its solution. OUT gets "
        "metrics.jsonl, events/ for TensorBoard, and checkpoints that transformers and strata load as models: `last` "
        "and "
        "`best` point at them. A run that was stopped or killed goes on with --resume last and ends in the same bits.\n"
        "\n"
        "Settings may stand in a file (--recipe), a study's recipe too; options.json in OUT says which were given and "
        "where.",
        "strata sft mid.jsonl --model Qwen2.5-VL-7B-Instruct --out sft-paper --paper\n"
        "strata sft train.jsonl --model M --out sft --held-out test.jsonl --eval-steps 50\n"
        "strata sft train.jsonl --model M --out sft --recipe recipes/tiny.yaml --set epochs=1",
        "model out",
        1,
        1,
        strata_cli_sft,
    },
    {
        "grpo",
        "DATA --model DIR --out DIR [options]",
        "train by reinforcement on graded answers",
        "Each update samples answers to some prompts, grades them against the solutions, and makes the better ones of "
        "each group likelier. It trains on the very tokens that were sampled, in the numbers they were sampled with. "
        "OUT gets the same files as sft and completions.jsonl: every prompt, its answers, rewards and advantages.\n"
        "\n"
        "Settings may stand in a file (--recipe), a study's recipe too; options.json in OUT says which were given and "
        "where.",
        "strata grpo hard.jsonl --model Qwen2.5-VL-7B-Instruct --out grpo-paper --paper\n"
        "strata grpo train.jsonl --model M --out grpo --prompts 16 --max-new-tokens 64 --check\n"
        "strata grpo hard.jsonl --model Qwen2.5-VL-7B-Instruct --out grpo-paper --recipe recipes/paper.yaml",
        "model out",
        1,
        1,
        strata_cli_grpo,
    },
    {
        "study",
        "RECIPE --out DIR [options]",
        "compare the twelve paradigms of training on your model and data",
        "Scores the data, cuts it into strata, trains by the twelve paradigms of the paper (SFT and GRPO on strata, "
        "mixtures "
        "and random sets of equal size) for PISM's and CMAB's strata and for each family of tasks, evaluates every "
        "model, and prints tables with intervals. RECIPE is YAML: recipes/ has three, docs/study.md explains the "
        "keys.\n"
        "\n"
        "The plan with its cost is said first; --dry-run stops there. Stages that rows share run once. The same "
        "command "
        "goes on where it was stopped or killed, and started several times, also on several machines with a common "
        "directory, it shares the work.",
        "strata study recipes/tiny.yaml --out study --dry-run\n"
        "strata study recipes/tiny.yaml --out study --only 1,12\n"
        "strata report study --out study.html",
        "out",
        1,
        1,
        strata_cli_study,
    },
    {
        "verify",
        "FILE [options]",
        "grade (solution, completion) pairs",
        "FILE is JSONL, one object a line with `solution` and `completion`, optionally `ability`, `verifier`, "
        "`question` and `id`. The answer is the text of the last `<answer>` or `\\boxed{}` after the thinking part; "
        "an answer whose thinking never ends is truncated. Prints the accuracy by grader; with --json one line a "
        "pair: score, grader, extracted answer, reason. --explain shows how one line is graded; --check-gold lists "
        "golds that no answer can satisfy (exit status 1 when there are any).",
        "strata verify answers.jsonl\n"
        "strata verify answers.jsonl --json > graded.jsonl\n"
        "strata verify answers.jsonl --explain 17\n"
        "strata verify data.jsonl --check-gold\n"
        "strata verify answers.jsonl --grader \"python3 my_reward.py\"",
        NULL,
        1,
        1,
        strata_cli_verify,
    },
    {
        "generate",
        "QUESTION --model DIR [--image FILE]... [options]",
        "answer one prompt",
        "The answer appears as it is made. Images without an `<image>` mark in the question stand before it. With "
        "--cmab, the balance between image and text is printed for each token and layer; --out writes the attention "
        "on the first image as a PNG.",
        "strata generate \"what shape is in the image?\" --model models/easyvqa-tiny --image a.png\n"
        "strata generate \"what shape is in the image?\" --model models/easyvqa-tiny --image a.png --cmab --out "
        "map.png",
        "model",
        1,
        1,
        strata_cli_generate,
    },
    {
        "inspect",
        "PATH [options]",
        "look into a model directory, a tokenizer, a safetensors file or a run",
        "A model directory: configuration, parameters by part, memory, tokenizer. A tokenizer.json: its size and, "
        "with --encode or --decode, how it cuts a text. A .safetensors file: its tensors. A run directory: its "
        "settings and counts or, with --out, the difficulty of its samples as a table for pandas, datasets and "
        "others (columns: docs/formats.md).",
        "strata inspect models/easyvqa-tiny\n"
        "strata inspect models/easyvqa-tiny --encode \"what color is the circle?\"\n"
        "strata inspect run\n"
        "strata inspect run --out difficulty.parquet",
        NULL,
        1,
        1,
        strata_cli_inspect,
    },
    {
        "dump",
        "QUESTION --model DIR --out FILE [--image FILE]... [options]",
        "write every stage of one prompt's forward pass",
        "A safetensors file: input_ids, position_ids, vision.patch_embed, vision.block.I, vision_embeds, hidden "
        "(embeddings and the output of each layer), normed, logits. Two of them are what `strata compare` takes.",
        "strata dump \"what shape is in the image?\" --model M --image a.png --out ours.safetensors",
        "model out",
        1,
        1,
        strata_cli_dump,
    },
    {
        "compare",
        "A B [options]",
        "find the first difference between two dumps, weights or runs",
        "Two safetensors files: every tensor in the order of the forward pass, its relative L2 distance and its worst "
        "element; the first stage that differs is named. Two run directories: samples whose strata differ. Exit 0 "
        "when they agree, 1 when they do not.",
        "strata compare ours.safetensors theirs.safetensors --tolerance 1e-5\n"
        "strata compare run-a run-b",
        NULL,
        2,
        2,
        strata_cli_compare,
    },
    {
        "synth",
        "--out DIR [options]",
        "draw a synthetic world of tasks with known answers",
        "Eight abilities (cv_detection, cv_grounding, counting, ocr, math, chart, puzzle, science) at five levels of "
        "difficulty, in columns `ability`, `level` and `task`. DIR gets train, held-out and test files in the layout "
        "of "
        "--format, and images/. Abilities and levels take turns, so that each has as many samples as the others.\n"
        "\n"
        "A sample depends on the seed, the split and its number, on nothing else. No image is in two splits, whatever "
        "the seeds and counts: an image's own pixels decide which split may have it. docs/synth.md shows the tasks.",
        "strata synth --out world\n"
        "strata synth --out world --counts 20000,500,1000 --assistant think --mask-share 0.25\n"
        "strata synth --out letters --ability ocr --levels 3,5 --size 448 --format llamafactory",
        "out",
        0,
        0,
        strata_cli_synth,
    },
    {
        "init",
        "--config NAME|FILE --out DIR [options]",
        "make a model directory with fresh weights",
        "The shape is a preset (tiny, block, 0.5b, 3b, 7b), a config.json or a model directory. Matrices are drawn as "
        "transformers does; equal seeds give equal files, whatever the threads. A directory that holds a model already "
        "is never overwritten.",
        "strata init --config tiny --tokenizer models/easyvqa-tiny --seed 1 --out fresh\n"
        "strata init --config 0.5b --tokenizer Qwen2.5-VL-3B-Instruct --dtype bf16 --out half-billion",
        "config out",
        0,
        0,
        strata_cli_init,
    },
    {
        "bench",
        "[TASK]... [--model DIR] [options]",
        "measure speed beside what this machine can do",
        "Tasks with a model: load, prefill, decode, batch (8 answers of one prompt), cmab, pism, and steps of "
        "training: "
        "sft (4 conversations of 512 tokens), grpo (8 answers of one prompt), prefix (the gain of sharing the prompt). "
        "Without: gemm, "
        "verify, "
        "store. Each round probes the machine's own rates (multiply-adds, reading memory) right beside the "
        "measurement, "
        "so a share holds on a shared machine too; medians over the rounds, lowest and highest in brackets.",
        "strata bench --model models/easyvqa-tiny\n"
        "strata bench prefill decode --model half-billion --threads 2 --rounds 5\n"
        "strata bench gemm --json",
        NULL,
        0,
        16,
        strata_cli_bench,
    },
    {
        "eval",
        "BENCH... --out DIR [--model M] [options]",
        "score a model on benchmarks, as VLMEvalKit does",
        "BENCH is MathVista, MMVet, OCRBench, HallusionBench, MMMU or MMStar, whose file lies in --tsv-dir under the "
        "kit's name (MMStar.tsv, MMMU_DEV_VAL.tsv, MathVista_MINI.tsv …); NAME=FILE for a file elsewhere; or data of "
        "your own (JSONL, JSON, CSV or Parquet, as `strata score` reads them), graded as there.\n"
        "\n"
        "Answers come from any engine. Where the kit asks a judge, --judge names its server; without one the kit's "
        "exact "
        "matching decides. Results by category go to DIR as JSON and CSV, and are printed beside the paper's. Answers "
        "and verdicts are kept as they come: the same command goes on where it stopped. A failed request leaves its "
        "row pending; it is never counted as wrong.",
        "strata eval MMStar HallusionBench --model M --out results\n"
        "strata eval MathVista --engine http --url http://gpu:8000 --model Qwen2.5-VL-7B --judge http://gpu:8001 "
        "--judge-model J --out results\n"
        "strata eval MMMU=my/MMMU_DEV_VAL.tsv --audit --out results",
        "out",
        1,
        64,
        strata_cli_eval,
    },
    {
        "doctor",
        "[options]",
        "check the installation: CPU, kernels, memory, libraries, and what will be slow",
        "Exit 0 when everything works, also when something will be slow.",
        "strata doctor",
        NULL,
        0,
        0,
        strata_cli_doctor,
    },
    {
        "help",
        "[COMMAND] [options]",
        "this list, or the options of a command",
        "",
        "strata help score",
        NULL,
        0,
        1,
        strata_cli_help,
    },
};
const size_t strata_command_count = sizeof strata_commands / sizeof *strata_commands;
