"""The XMP packet of a generated picture: IPTC's source type, and the field of China's GB 45438-2025.

GB 45438-2025 asks for metadata with a JSON field ``AIGC`` in the namespace ``http://www.tc260.org.cn/ns/AIGC/1.0/``:
``Label`` "1" means generated, and who produced it is named by the code of the producer, here the key's fingerprint.
"""

import json
from xml.sax.saxutils import escape, quoteattr  # parses nothing  # nosec B406

from diptych.marks.facts import SOURCE_TYPES, Generated

AIGC_NAMESPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"
_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:TC260="{namespace}"
 xmp:CreatorTool={tool} xmp:CreateDate={when} Iptc4xmpExt:DigitalSourceType={source} TC260:AIGC={aigc}>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{sentence}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


def aigc_fields(producer: str, picture: str) -> dict[str, str]:
    """The field AIGC, for a picture that leaves its producer: nobody has propagated it yet.

    Parameters
    ----------
    producer
        The fingerprint of the key that signs it; empty if there is none.
    picture
        A number that no other picture has.
    """
    return {
        "Label": "1",
        "ContentProducer": producer,
        "ProduceID": picture,
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }


def packet(facts: Generated, when: str, aigc: dict[str, str]) -> bytes:
    """The XMP packet of a picture; ``when`` is an ISO 8601 time."""
    return _PACKET.format(
        namespace=AIGC_NAMESPACE,
        tool=quoteattr(facts.software),
        when=quoteattr(when),
        source=quoteattr(SOURCE_TYPES[facts.kind]),
        aigc=quoteattr(json.dumps(aigc, separators=(",", ":"))),
        sentence=escape(facts.sentence()),
    ).encode("utf-8", "replace")
