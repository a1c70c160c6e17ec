"""What other packages make of the files that training writes (run by trained_files.sh).

usage: trained_files.py generate CHECKPOINT TEXTS.json     same greedy text in transformers
       trained_files.py adapter BASE ADAPTER DUMP IMAGE QUESTION     same logits in PEFT
       trained_files.py events DIR METRICS                 same scalars in TensorBoard
"""
import json
import sys


def open_model(path):
    import torch
    from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration, logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    model, report = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        path, dtype=torch.float32, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    return model.eval(), AutoProcessor.from_pretrained(path)


def inputs_of(processor, question, image):
    from PIL import Image
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return processor(text=[text], images=[Image.open(image).convert("RGB")], return_tensors="pt")


def generate(checkpoint, texts):
    model, processor = open_model(checkpoint)
    for case in json.load(open(texts, encoding="utf-8")):
        inputs = inputs_of(processor, case["question"], case["image"])
        out = model.generate(**inputs, do_sample=False, max_new_tokens=case["tokens"])
        text = processor.decode(out[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True)
        assert text == case["text"], f"{case['question']}: transformers says {text!r}, strata {case['text']!r}"


def adapter(base, directory, dump, image, question):
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    model, processor = open_model(base)
    ours = load_file(dump)
    inputs = inputs_of(processor, question, image)
    assert inputs["input_ids"][0].tolist() == ours["input_ids"].flatten().tolist(), "other tokens"

    def distance(module):
        with torch.no_grad():
            theirs = module(**inputs).logits[0]
        return ((theirs - ours["logits"].reshape(theirs.shape)).norm() / theirs.norm()).item()

    without = distance(model)
    with_adapter = distance(PeftModel.from_pretrained(model, directory).eval())
    assert with_adapter < 1e-5, f"logits differ by {with_adapter:.2g} of their norm"
    assert without > 1e-3, f"the adapter changes nothing: {without:.2g} without it"
    print(f"adapter: logits within {with_adapter:.1g} of PEFT's, {without:.1g} without it")


def events(directory, metrics):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    accumulator = EventAccumulator(directory, size_guidance={"scalars": 0})
    accumulator.Reload()
    tags = set(accumulator.Tags()["scalars"])
    compared = 0
    for line in open(metrics, encoding="utf-8"):
        record = json.loads(line)
        for key in ("loss", "grad_norm", "learning_rate"):
            if key not in record:
                continue
            assert key in tags, f"no scalar {key} among {sorted(tags)}"
            values = [event.value for event in accumulator.Scalars(key) if event.step == record["step"]]
            assert len(values) == 1, f"step {record['step']} has {len(values)} values of {key}"
            assert abs(values[0] - record[key]) <= 1e-6 * abs(record[key]), (key, record["step"], values)
            compared += 1
    assert compared > 3, f"only {compared} scalars compared"


if __name__ == "__main__":
    {"generate": generate, "adapter": adapter, "events": events}[sys.argv[1]](*sys.argv[2:])
