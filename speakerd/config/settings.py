"""What can be set: each key has its type, limits, default and description here and nowhere else.

``config/speakerd.yaml`` is written from this module (:mod:`speakerd.config.sample`).
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

FromZero = Annotated[int, Meta(ge=0)]
Text = Annotated[str, Meta(min_length=1, title="some text")]
Running = Annotated[
    int, Meta(ge=1, le=16, description="How many may run at once; further ones are dropped with a warning.")
]
# Home Assistant's webhook addresses are as good as passwords: what is marked so is never shown in a message.
SECRET = {"secret": True}


class Audio(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the sound comes from."""

    device: Annotated[
        FromZero | Text | None,
        Meta(
            description="The microphone: its name, a part of its name, or its number as `speakerd doctor` lists them; "
            "null is the default microphone."
        ),
    ] = None
    channel: Annotated[
        FromZero | Literal["mix"],
        Meta(
            description="Which channel of a microphone with several, counted from 0, or mix for the mean of all. The "
            "first is the safe choice: on cheap stereo microphones it is the one that is connected, on arrays often "
            "the cleaned-up one (others carry what the loudspeaker plays), and the mean of capsules that stand apart "
            "cancels some of the voice."
        ),
    ] = 0


class Gate(Struct, frozen=True, forbid_unknown_fields=True):
    """When somebody speaks: only then does anything else run."""

    aggressiveness: Annotated[
        int, Meta(ge=0, le=3, description="How sure it must be that it is speech: the higher, the stricter.")
    ] = 2
    hangover_ms: Annotated[
        int,
        Meta(
            ge=100,
            le=1500,
            description="The pause that ends an utterance, in milliseconds. Shorter answers sooner, longer keeps "
            "commands with a pause in them whole.",
        ),
    ] = 300
    preroll_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=2000,
            description="How much sound from before the speech was noticed belongs to it, in milliseconds: soft first "
            "consonants.",
        ),
    ] = 600
    voices_only: Annotated[
        bool,
        Meta(
            description="Whether nothing but voices is listened to. Off, whistling and clapping can be taught, and "
            "more noise is compared with the commands."
        ),
    ] = True


class Requirement(Struct, frozen=True, forbid_unknown_fields=True):
    """What must have been heard before."""

    command: Annotated[
        str, Meta(min_length=1, title="some text", description="The command that must have been heard before.")
    ]
    within: Annotated[float, Meta(gt=0, le=600, description="At most so many seconds before this one begins.")] = 8.0


class Listening(Struct, frozen=True, forbid_unknown_fields=True):
    """How sure is sure enough, and what else it takes."""

    false_accepts_per_day: Annotated[
        float,
        Meta(
            gt=0,
            le=1000,
            description="How often a day something else may be taken for a command: for the whole speaker, shared "
            "among its commands. With less, more of the true ones go unheard.",
        ),
    ] = 1.0
    highest_frr: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="The largest share of the true ones that a command may be expected to miss. Where the false "
            "accepts could be kept down only by missing more, this limit wins, up to two false accepts per hour of "
            "talk, and the command is marked over budget.",
        ),
    ] = 0.2
    requires: Annotated[
        dict[Text, Requirement],
        Meta(
            description="Commands that count only after another one: a wake phrase arms them, and false accepts become "
            'rarer. "*", with the quotes, is every command that has no line of its own here, but for the one it needs.',
            examples=[{"lights off": Requirement("computer")}],
        ),
    ] = {}
    # 0.6 leaves an eighth of the false accepts (19 of 150, in two hours): a day in which it always plays holds six
    # times the talk that a budget is made for. Of commands 15 dB above what is played 67 % are heard, without it 85 %
    # (script/measure-playing --minutes 10).
    playing_margin: Annotated[
        float,
        Meta(
            gt=0,
            le=100,
            description="How much more than its threshold a command must score while the speaker itself plays, as "
            "`speakerd playing on` or MPD says: what is played is not taken for a command, and more of the true ones "
            "must be said again.",
        ),
    ] = 0.6
    mpd: Annotated[
        Annotated[
            str,
            Meta(pattern=r"^[^\s:]+(:[0-9]{1,5})?\Z", title="a host such as localhost, or with a port, mpd.lan:6600"),
        ]
        | None,
        Meta(description="The Music Player Daemon that plays through this speaker, asked every second; null is none."),
    ] = None


class Enrolment(Struct, frozen=True, forbid_unknown_fields=True):
    """Teaching by microphone."""

    takes: Annotated[int, Meta(ge=1, le=10, description="How often a new command is to be said.")] = 3
    keep_audio: Annotated[
        bool,
        Meta(
            description="Keep the sound of the examples, on this machine, so that a new model can learn from them. "
            "With false the commands must be taught again for a new model."
        ),
    ] = True


class Speaking(Struct, frozen=True, forbid_unknown_fields=True):
    """What the speaker says, and how it is taught without a screen and a keyboard."""

    enabled: Annotated[
        bool,
        Meta(
            description="Speak: guide through lessons, and ask for the first words where nothing is known yet. It "
            "needs a loudspeaker; without espeak-ng there are tones only."
        ),
    ] = False
    device: Annotated[
        FromZero | Text | None,
        Meta(description="The loudspeaker: its name, a part of its name, or its number; null is the default one."),
    ] = None
    volume: Annotated[float, Meta(gt=0, le=1, description="How loud, 1 is as loud as the device is set.")] = 0.5
    language: Annotated[
        Literal["en", "de", "fr", "es", "zh", "ar"],
        Meta(description="What the speaker speaks: en, de, fr, es, zh or ar. Commands may be in any language."),
    ] = "en"
    voice: Annotated[
        Text | None,
        Meta(
            description="A voice of espeak-ng (`espeak-ng --voices` lists them), or the file of a piper voice "
            "(/.../NAME.onnx); null is espeak-ng's usual one for the language."
        ),
    ] = None
    tone_on_detection: Annotated[
        bool, Meta(description="Play a short tone when a command was heard; only where `enabled`.")
    ] = False
    button: Annotated[
        Annotated[int, Meta(ge=0, le=27)] | None,
        Meta(
            description="The GPIO pin (its BCM number) of a button between it and ground that begins and ends lessons; "
            "it needs the package gpiozero. null is none."
        ),
    ] = None


class Learning(Struct, frozen=True, forbid_unknown_fields=True):
    """What the speaker may learn by itself."""

    grow: Annotated[
        bool,
        Meta(
            description="Of what was heard surely and clearly, and is like what was taught, keep one example of each "
            "command a day, where nobody has said within five minutes that it was wrong. `speakerd history` tells of "
            "each, and `undo` takes it back."
        ),
    ] = False


class Recognition(Struct, frozen=True, forbid_unknown_fields=True):
    """What turns sound into something that can be compared."""

    models: Annotated[
        Text | None,
        Meta(
            description="null are the models that came along, `small` those that came along for the slowest boards "
            "(a third of the multiplications, hears less well), anything else is a folder that holds others."
        ),
    ] = None
    encoder: Annotated[
        Text | None,
        Meta(
            description="An ONNX file with an encoder of another make, in place of the one in `models`; "
            "docs/encoders.md says what it must be like and how it is prepared. null is none."
        ),
    ] = None


class Http(Struct, frozen=True, forbid_unknown_fields=True):
    """The page, and the same requests for other programs, over HTTP."""

    enabled: Annotated[bool, Meta(description="Serve the page.")] = False
    address: Annotated[
        str,
        Meta(
            title="an IP address",
            description="The address of this machine to serve it on; 127.0.0.1 is for this machine alone (and for "
            "everybody who has an account on it, unless there is a token), 0.0.0.0 for the whole network, which wants "
            "a token.",
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="0 takes any that is free; the log says which.")] = 8765
    token: Annotated[
        Annotated[str, Meta(pattern=r"^[!-~]{16,200}\Z", title="16 to 200 letters, digits and signs, no spaces")]
        | None,
        Meta(
            description="The password of the page and of programs (`Authorization: Bearer ...`), with 16 characters or "
            "more; null asks for none.",
            extra=SECRET,
        ),
    ] = None
    token_file: Annotated[Text | None, Meta(description="A file that holds the token, in place of `token`.")] = None
    names: Annotated[
        list[Text],
        Meta(
            title="a list of names",
            description="Names of this machine by which the page may be called, beside its addresses, its own name and "
            "that with .local; others are refused, since they may be a trick (DNS rebinding).",
        ),
    ] = []
    certificate: Annotated[
        Text | None,
        Meta(
            description="A file with a certificate chain (PEM): with it and `key` the page is at https://, as phones "
            "want before they lend their microphone."
        ),
    ] = None
    key: Annotated[Text | None, Meta(description="The file with the certificate's private key (PEM).")] = None

    def __repr__(self) -> str:
        return f"Http(enabled={self.enabled}, address={self.address!r}, port={self.port})"


class ShellAction(Struct, frozen=True, forbid_unknown_fields=True):
    """A program to run."""

    shell: Annotated[
        list[str],
        Meta(
            min_length=1,
            title="a list of a program and its arguments",
            description="The program and its arguments; no shell interprets them. What was heard stands in its "
            "environment: SPEAKERD_COMMAND, SPEAKERD_SCORE, SPEAKERD_TIME, SPEAKERD_START, SPEAKERD_AT, SPEAKERD_ID, "
            "SPEAKERD_SPEAKER, SPEAKERD_ACTION.",
        ),
    ]
    timeout: Annotated[
        float, Meta(gt=0, le=3600, description="After so many seconds it is killed, with all that it started.")
    ] = 10.0
    running: Running = 2


class WebhookAction(Struct, frozen=True, forbid_unknown_fields=True):
    """An address to tell."""

    webhook: Annotated[
        str,
        Meta(
            pattern=r"^(?i:https?)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?([/?#][!-~]*)?\Z",
            title="an address such as http://host:8123/path or https://host/path",
            description="The address that gets an HTTP POST with the detection as JSON.",
            extra=SECRET,
        ),
    ]
    timeout: Annotated[float, Meta(gt=0, le=300, description="So many seconds may pass without an answer.")] = 5.0
    running: Running = 2
    headers: Annotated[
        dict[
            Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z", title="the name of a header")],
            Annotated[str, Meta(pattern=r"^[ -~]*\Z", title="one line of ASCII text", extra=SECRET)],
        ],
        Meta(description="Headers to send along, such as Authorization. Their values are never logged."),
    ] = {}

    def __repr__(self) -> str:
        return f"WebhookAction(timeout={self.timeout}, running={self.running}, headers={[*self.headers]})"


Action = ShellAction | WebhookAction
EXAMPLES: dict[str, Action] = {
    "lamp": ShellAction(["/usr/local/bin/lamp", "toggle"]),
    "home": WebhookAction(
        "http://homeassistant.local:8123/api/webhook/speakerd", headers={"Authorization": "Bearer 1234"}
    ),
}


class Outputs(Struct, frozen=True, forbid_unknown_fields=True):
    """What happens when a command was heard."""

    log: Annotated[bool, Meta(description="Write a line to the log.")] = True
    json: Annotated[
        Text | None,
        Meta(description="Append a line of JSON to this file; - is the standard output, null writes none."),
    ] = None
    actions: Annotated[
        dict[Text, Action],
        Meta(
            description="Programs to run and addresses to tell, under names of your choice, for `speakerd enroll "
            "--action NAME` and for `on`.",
            examples=[EXAMPLES],
        ),
    ] = {}
    on: Annotated[
        dict[Text, Annotated[list[str], Meta(title="a list of names of actions")]],
        Meta(
            description='Which actions a command sets off, beside the one it was taught with; "*", with the quotes, '
            "is every command.",
            examples=[{"kitchen lamp": ["lamp"], "*": ["home"]}],
        ),
    ] = {}
    by: Annotated[
        dict[Text, dict[Text, Annotated[list[str], Meta(title="a list of names of actions")]]],
        Meta(
            description="Which actions a command sets off where a certain person says it, in place of the one it was "
            "taught with and of those in `on`. It counts where it is sure who speaks (`speakerd enroll --speaker`); "
            "it keeps nobody out.",
            examples=[{"Zoë": {"kitchen lamp": ["home"]}}],
        ),
    ] = {}


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of speakerd, each with its default: nothing needs to be changed to begin."""

    audio: Audio = Audio()
    gate: Gate = Gate()
    listening: Listening = Listening()
    enrolment: Enrolment = Enrolment()
    learning: Learning = Learning()
    speaking: Speaking = Speaking()
    recognition: Recognition = Recognition()
    http: Http = Http()
    outputs: Outputs = Outputs()
