import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import javax.smartcardio.Card;
import javax.smartcardio.CardChannel;
import javax.smartcardio.CardException;
import javax.smartcardio.CardTerminal;
import javax.smartcardio.CardTerminals;
import javax.smartcardio.CommandAPDU;
import javax.smartcardio.ResponseAPDU;
import javax.smartcardio.TerminalFactory;

/**
 * What a Java program sees of the smart-card service through javax.smartcardio.
 *
 * It prints what every call gives, so that what two services make of the same token
 * can be compared line by line. A line that begins with "do " asks for something
 * to be done to the token; standard input then has a line when it is. It begins
 * without a token.
 */
public class SmartCardClient {
    private static final BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    private static final byte[] ECHO = bytes("80EC410103");

    /** A call that gives something or throws. */
    private interface Call {
        Object make() throws Exception;
    }

    private static byte[] bytes(String hex) {
        return HexFormat.of().parseHex(hex);
    }

    private static void say(String what) {
        System.out.println(what);
        System.out.flush();
    }

    /** Prints what a call gives, or what it throws with all its causes. */
    private static void say(String what, Call call) {
        say(what + ": " + text(call));
    }

    private static String text(Call call) {
        try {
            return text(call.make());
        } catch (Exception e) {
            return text(e);
        }
    }

    private static String text(Object value) {
        if (value instanceof byte[]) {
            return HexFormat.of().formatHex((byte[]) value);
        }
        if (value instanceof ResponseAPDU) {
            return text(((ResponseAPDU) value).getBytes());
        }
        if (value instanceof ExecutionException) {
            return text(((Exception) value).getCause());
        }
        if (value instanceof Throwable) {
            Throwable e = (Throwable) value;
            String said = e.getClass().getSimpleName() + " " + e.getMessage();
            return e.getCause() == null ? said : said + ", of " + text(e.getCause());
        }
        return String.valueOf(value);
    }

    private static void ask(String what) throws Exception {
        say("do " + what);
        if (!"done".equals(input.readLine())) {
            throw new IllegalStateException("not done: " + what);
        }
    }

    /** The readers in a state. Java 17 throws where there is none at all. */
    private static List<CardTerminal> list(CardTerminals terminals, CardTerminals.State state) {
        try {
            return terminals.list(state);
        } catch (CardException none) {
            return List.of();
        }
    }

    /** Waits for a card. A Java program cannot be told of the first reader. */
    private static CardTerminal appear(CardTerminals terminals) throws InterruptedException {
        while (list(terminals, CardTerminals.State.CARD_PRESENT).isEmpty()) {
            Thread.sleep(20);
        }
        return list(terminals, CardTerminals.State.ALL).get(0);
    }

    private static CommandAPDU command(String hex) {
        return new CommandAPDU(bytes(hex));
    }

    private static void states(CardTerminals terminals, CardTerminal t) {
        say("terminals", () -> terminals.list());
        for (CardTerminals.State state : CardTerminals.State.values()) {
            say("terminals, " + state, () -> terminals.list(state));
        }
        say("by name", () -> terminals.getTerminal(t.getName()));
        say("of another name", () -> terminals.getTerminal("Nobody 00 00"));
        say("present", () -> t.isCardPresent());
        say("wait for present", () -> t.waitForCardPresent(0));
        say("wait for absent", () -> t.waitForCardAbsent(100));
        say("wait for any change, the first time", () -> terminals.waitForChange(100));
        say("wait for any change", () -> terminals.waitForChange(100));
        for (CardTerminals.State state : CardTerminals.State.values()) {
            say("terminals after it, " + state, () -> terminals.list(state));
        }
    }

    private static void protocols(CardTerminal t) {
        for (String protocol : List.of("T=0", "T=CL", "nonsense", "T=1", "*")) {
            say("connect " + protocol, () -> {
                Card card = t.connect(protocol);
                String said = card + ", " + card.getProtocol() + ", " + text(card.getATR().getBytes());
                card.disconnect(false);
                return said;
            });
        }
        say("connect direct", () -> {
            Card card = t.connect("direct");
            String said = text(card.getATR().getBytes()) + ", " + text(card.transmitControlCommand(0x42000D48, new byte[0]));
            card.disconnect(false);
            return said;
        });
        // Java connects raw then. pcscd refuses everybody who is not, from there to a reset.
        say("reset", () -> {
            t.connect("direct").disconnect(true);
            return "done";
        });
    }

    private static Card commands(CardTerminal t) throws Exception {
        Card card = t.connect("*");
        say("card", () -> card);
        say("connect again is the same", () -> t.connect("T=1") == card);
        CardChannel basic = card.getBasicChannel();
        say("channel", () -> basic.getChannelNumber());
        for (String hex : List.of("80EC410103", "00A40000023F00", "00A4000002DEAD", "00FE0000", "80EC000004DEADBEEF04")) {
            say(hex, () -> basic.transmit(command(hex)));
        }
        say("200 bytes", () -> basic.transmit(new CommandAPDU(0x80, 0xEC, 0, 0, new byte[200], 200)).getData().length);
        say("300 bytes", () -> basic.transmit(new CommandAPDU(0x80, 0xEC, 0, 0, new byte[300], 300)));
        ByteBuffer answer = ByteBuffer.allocate(258);
        say("into a buffer", () -> basic.transmit(ByteBuffer.wrap(ECHO), answer));
        say("another channel", () -> card.openLogicalChannel());
        say("features", () -> card.transmitControlCommand(0x42000D48, new byte[0]));
        say("unknown control code", () -> card.transmitControlCommand(0x42000700, new byte[0]));
        return card;
    }

    private static Card exclusive(CardTerminal t, Card card) throws Exception {
        CardChannel basic = card.getBasicChannel();
        ask("connect another program");
        say("end without begin", () -> { card.endExclusive(); return "ended"; });
        card.beginExclusive();
        say("begin again", () -> { card.beginExclusive(); return "begun"; });
        say("echo", () -> basic.transmit(new CommandAPDU(ECHO)));
        say("of another thread", () -> inBackground(() -> basic.transmit(new CommandAPDU(ECHO))).get());
        ask("have it refused");
        say("echo", () -> basic.transmit(new CommandAPDU(ECHO)));
        card.endExclusive();
        say("of another thread", () -> inBackground(() -> basic.transmit(new CommandAPDU(ECHO))).get());
        ask("have it served");
        say("echo after a reset", () -> basic.transmit(new CommandAPDU(ECHO)));
        say("card", () -> card);
        say("disconnect", () -> { card.disconnect(false); return "done"; });
        return t.connect("*");
    }

    private static CompletableFuture<String> inBackground(Call call) {
        CompletableFuture<String> result = new CompletableFuture<>();
        Thread thread = new Thread(() -> result.complete(text(call)));
        thread.setDaemon(true);
        thread.start();
        return result;
    }

    private static void gone(CardTerminals terminals, CardTerminal t, Card card) throws InterruptedException {
        while (!list(terminals, CardTerminals.State.ALL).isEmpty()) { // pcscd removes the card first, and then the reader
            Thread.sleep(20);
        }
        say("present", () -> t.isCardPresent());
        say("terminals", () -> terminals.list());
        say("echo", () -> card.getBasicChannel().transmit(new CommandAPDU(ECHO)));
        say("card", () -> card);
        say("connect", () -> t.connect("*"));
    }

    public static void main(String[] args) throws Exception {
        TerminalFactory factory = TerminalFactory.getDefault();
        say("factory: " + factory.getType() + " of " + factory.getProvider().getName());
        CardTerminals terminals = factory.terminals();
        say("terminals", () -> terminals.list());
        say("wait for any change", () -> terminals.waitForChange(100));
        ask("plug");
        CardTerminal t = appear(terminals);
        states(terminals, t);
        protocols(t);
        Card card = commands(t);
        Card held = exclusive(t, card);
        CardTerminals others = factory.terminals();
        CompletableFuture<String> change = inBackground(() -> others.waitForChange(0));
        ask("unplug");
        say("wait for any change: " + change.get());
        gone(terminals, t, held);
        ask("plug");
        CardTerminal again = appear(terminals);
        say("present", () -> again.waitForCardPresent(0));
        say("the old card", () -> held.getBasicChannel().transmit(new CommandAPDU(ECHO)));
        Card fresh = again.connect("*");
        say("card", () -> fresh);
        say("echo", () -> fresh.getBasicChannel().transmit(new CommandAPDU(ECHO)));
        say("disconnect with a reset", () -> { fresh.disconnect(true); return "done"; });
        say("echo after it", () -> fresh.getBasicChannel().transmit(new CommandAPDU(ECHO)));
        Card last = again.connect("*");
        CompletableFuture<String> absent = inBackground(() -> again.waitForCardAbsent(0));
        ask("unplug");
        say("wait for absent: " + absent.get());
        gone(terminals, again, last);
    }
}
